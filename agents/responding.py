"""Answering prompts: what all agents whose actions are tokens share."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import networks, reading, sampling, tokens
from rlax_pref.names import lookup
from rlax_pref.types import Array, Key, Metrics, Numeric, Policy, PyTree

from .configs.denoising import Denoising
from .configs.tokens import TokenPolicy as Config


class Responses(NamedTuple):
    """Responses to prompts; a response is `[..., L]` tokens."""

    prompt: Array  # [..., Lp]
    response: Array  # [..., L]
    mask: Array  # [..., L] bool, tokens of the response, its stop included
    log_prob: Array  # [..., L] at the temperature of sampling
    entropy: Array  # [..., L] of the law each token is from
    reward: Array  # [...]


def check(env: Any) -> None:
    """Raises ValueError if the environment is no task of tokens."""
    if not hasattr(env, "num_tokens"):
        raise ValueError(
            f"{type(env).__name__} is no task of tokens, which this agent answers: "
            "choose one, such as addition or token_lock"
        )


def network(env: Any, config: Config, num_outputs: int) -> networks.TokenNetwork:
    """The network that a config asks for.

    Raises:
      ValueError: the kind of network is unknown.
    """

    def transformer() -> networks.TokenNetwork:
        return networks.transformer(
            env.num_symbols,
            num_outputs,
            env.prompt_length,
            env.max_length,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            dtype=config.dtype,
            remat=config.remat,
        )

    def mlp() -> networks.TokenNetwork:
        return networks.token_mlp(
            env.num_symbols,
            num_outputs,
            env.prompt_length,
            env.max_length,
            width=config.width,
            num_layers=config.num_layers,
        )

    def table() -> networks.TokenNetwork:
        if not hasattr(env, "num_prompts"):
            raise ValueError(
                f"network='table' needs a task with numbered prompts, which {type(env).__name__} "
                "is not: choose 'transformer' or 'mlp'"
            )
        return networks.token_table(
            env.num_prompts, env.num_tokens, env.max_length, num_outputs, order=config.table_order
        )

    kinds = {"transformer": transformer, "mlp": mlp, "table": table}
    return lookup(kinds, config.network, "network")()


def respond(
    env: Any,
    network: networks.TokenNetwork,
    params: PyTree,
    prompt: Array,
    key: Key,
    temperature: Numeric = 1.0,
) -> Responses:
    """Answers each of `[..., Lp]` prompts once, and has the task judge the answers."""
    key_sample, key_score = jax.random.split(key)
    sampled = sampling.sample(
        network,
        params,
        prompt,
        key_sample,
        max_length=env.max_length,
        stop=env.stop,
        temperature=temperature,
        limit=limit(env, prompt),
    )
    return Responses(
        prompt,
        sampled.response,
        sampled.mask,
        sampled.log_prob,
        sampled.entropy,
        sampling.score_responses(env.score, prompt, sampled, key_score),
    )


def limit(env: Any, prompt: Array) -> Array:
    """How many tokens the response to each of `[..., Lp]` prompts may have."""
    ask = env.limit
    for _ in range(prompt.ndim - 1):
        ask = jax.vmap(ask)
    return ask(prompt)


def prompts(env: Any, key: Key, num: int, *, every: bool = False) -> Array:
    """Draws prompts, `[num, Lp]`; or takes every one in turn, where the task can list them."""
    if every and hasattr(env, "prompts"):
        listed = env.prompts()
        return listed[jnp.arange(num) % listed.shape[0]]
    return jax.vmap(env.prompt)(jax.random.split(key, num))


def warm_up(
    env: Any, network: networks.TokenNetwork, params: PyTree, key: Key, config: Config
) -> PyTree:
    """Supervised learning on the task's own answers, for `config.warm_up` steps.

    Raises:
      ValueError: steps are asked for and the task has no answers.
    """
    if not config.warm_up:
        return params
    if not hasattr(env, "answer"):
        raise ValueError(f"warm_up={config.warm_up}: {type(env).__name__} has no answers to learn")
    adam = optimizer(config)

    def loss(params: PyTree, prompt: Array, response: Array, mask: Array) -> Array:
        law = reading.law(network, params, prompt, response)
        return tokens.aggregate(-law.log_prob, mask)

    def step(carry: tuple[PyTree, Any], key: Key) -> tuple[tuple[PyTree, Any], Array]:
        params, state = carry
        prompt = prompts(env, key, config.warm_up_batch)
        value, grads = jax.value_and_grad(loss)(params, prompt, *jax.vmap(env.answer)(prompt))
        direction, state = adam.update(grads, state)
        return (descend(params, direction, config.warm_up_learning_rate), state), value

    keys = jax.random.split(key, config.warm_up)
    return jax.lax.scan(step, (params, adam.init(params)), keys)[0][0]


def optimizer(config: Config | Denoising) -> optax.GradientTransformation:
    """Adam on shortened gradients; its direction is yet to be multiplied by a step size."""
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam())


def descend(params: PyTree, direction: PyTree, rate: Numeric) -> PyTree:
    """One step against the gradient."""
    return jax.tree.map(lambda p, d: p - rate * d, params, direction)


def minibatches(batch: PyTree, num: int) -> PyTree:
    """Splits `[E, ...]` into `[num, E / num, ...]`.

    Each takes every num-th row: where rows are spread over devices, every device has its share of
    each minibatch, and nothing has to travel.
    """
    return jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, num, *x.shape[1:]), 1, 0), batch)


def passes(
    step: Callable[[Any, Any], tuple[Any, Metrics]],
    carry: Any,
    batch: PyTree,
    *,
    num_epochs: int,
    num_minibatches: int,
) -> tuple[Any, Metrics]:
    """Takes a step with each minibatch, again and again; metrics are averaged."""
    parts = minibatches(batch, num_minibatches)
    carry, metrics = jax.lax.scan(
        lambda carry, _: jax.lax.scan(step, carry, parts), carry, length=num_epochs
    )
    return carry, jax.tree.map(jnp.mean, metrics)


def policy(env: Any, network: networks.TokenNetwork, params: PyTree) -> Policy:
    """Writes the likeliest token next. An observation is the prompt and the response so far."""

    def act(time: Array, obs: Array, key: Key) -> tuple[Array, Array]:
        prompt, response = obs[: env.prompt_length], obs[env.prompt_length :]
        _, output = network.start(params, prompt, response, time)
        return time + 1, jnp.argmax(output[: env.num_tokens], -1).astype(jnp.int32)

    return Policy(lambda key: jnp.zeros((), jnp.int32), act)


def judge(env: Any, network: networks.TokenNetwork, params: PyTree, num: int, key: Key) -> Metrics:
    """How good fresh responses are, from which nothing is learned."""
    key_prompt, key_respond = jax.random.split(key)
    asked = prompts(env, key_prompt, num)
    return summary(respond(env, network, params, asked, key_respond))


def summary(responses: Responses) -> Metrics:
    """How good and how long the responses were. Each is an episode and counts as one step."""
    num = jnp.asarray(responses.reward.size, jnp.int32)
    return {
        "episodes": num,
        "return": responses.reward.mean(),
        "length": responses.mask.sum(-1).mean(dtype=jnp.float32),
        "env_steps": num,
    }


def join(
    nets: Mapping[str, networks.TokenNetwork], combine: Callable[[dict[str, Array]], Array]
) -> networks.TokenNetwork:
    """Several networks that read the same as one; `combine` makes one output of theirs, by name."""

    def init(key: Key) -> PyTree:
        keys = jax.random.split(key, len(nets))
        return {name: net.init(k) for (name, net), k in zip(nets.items(), keys, strict=True)}

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        return combine({k: net.apply(params[k], prompt, response) for k, net in nets.items()})

    def start(params: PyTree, prompt: Array, *more: Any) -> tuple[PyTree, Array]:
        return _split({k: net.start(params[k], prompt, *more) for k, net in nets.items()})

    def step(params: PyTree, memory: PyTree, token: Array) -> tuple[PyTree, Array]:
        return _split({k: net.step(params[k], memory[k], token) for k, net in nets.items()})

    def _split(both: dict[str, tuple[PyTree, Array]]) -> tuple[PyTree, Array]:
        return {k: memory for k, (memory, _) in both.items()}, combine(
            {k: output for k, (_, output) in both.items()}
        )

    return networks.TokenNetwork(init, apply, start, step)

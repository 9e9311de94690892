"""What methods that learn from stored steps are made of; the loop around them is `off_policy`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import buffers, networks, statistics
from rlax_pref.types import Array, Box, Discrete, Env, Key, Numeric, Policy, PyTree, Transition

from . import responding
from .configs.off_policy import Encoded
from .configs.off_policy import OffPolicy as Config


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: Mapping[str, PyTree]  # of each network
    optimizer: Mapping[str, optax.OptState]
    target: Mapping[str, PyTree]  # slow copies of some of them
    obs: statistics.Moments  # of what was stored


def see(config: Config, learner: Learner, obs: Array) -> Array:
    """Observations as the networks see them."""
    return statistics.normalize(learner.obs, obs) if config.normalize_obs else obs


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam on shortened gradients; its direction is yet to be multiplied by a step size."""
    shorten = optax.clip_by_global_norm(config.max_grad_norm)
    if known(config.max_grad_norm, float("inf")):
        shorten = optax.identity()
    adam = optax.scale_by_adam(eps=config.adam_epsilon)
    return optax.flatten(optax.chain(shorten, adam))  # one vector is few kernels, a tree is dozens


def known(setting: Numeric, number: float) -> bool:
    """Whether a setting is this number, and not one that is traced."""
    return isinstance(setting, int | float) and setting == number


def descend(
    config: Config,
    learner: Learner,
    name: str,
    loss: Callable[[PyTree], tuple[Array, Any]],
    rate: Numeric | None = None,
) -> tuple[Learner, Any]:
    """One step of one network.

    Args:
      config: of the optimiser.
      learner: what is learned.
      name: of the network.
      loss: `params -> (loss [], anything)`.
      rate: step size; by default the config's.

    Returns:
      The learner after it, and what the loss says besides.
    """
    grads, report = jax.grad(loss, has_aux=True)(learner.params[name])
    return step_along(config, learner, name, grads, rate), report


def step_along(
    config: Config, learner: Learner, name: str, grads: PyTree, rate: Numeric | None = None
) -> Learner:
    """One step of one network along a gradient that is there already."""
    direction, state = optimizer(config).update(grads, learner.optimizer[name])
    rate = config.learning_rate if rate is None else rate
    params = responding.descend(learner.params[name], direction, rate)
    return learner._replace(
        params={**learner.params, name: params}, optimizer={**learner.optimizer, name: state}
    )


def follow(learner: Learner, name: str, rate: Numeric) -> Learner:
    """Moves a slow copy by a share of the way; by all of it where `rate` is 1."""
    slow = optax.incremental_update(learner.params[name], learner.target[name], rate)
    return learner._replace(target={**learner.target, name: slow})


def average(x: Array, data: Transition, weight: Numeric) -> Array:
    """Mean of `[B]` over what may be learned from."""
    return jnp.sum(x * weight * data.valid_t) / jnp.maximum(data.valid_t.sum(), 1.0)


def kind(config: Any) -> Any:
    """Which networks an agent's config asks for, whatever of: keywords of those in `networks`."""
    return {"activation": config.activation, "dtype": config.dtype}


def encoded(config: Config, network: networks.Network) -> networks.Network:
    """The network, behind the encoder that the config asks for, if any.

    Raises:
      ValueError: it asks for a number of inputs below 0.
    """
    if not isinstance(config, Encoded) or not config.encoder:
        return network
    if config.encoder_inputs < 0:
        raise ValueError(f"encoder_inputs={config.encoder_inputs} must not be negative; 0 is all")
    *hidden, num_features = config.encoder
    encoder = networks.mlp(
        hidden,
        num_features,
        activation=config.encoder_activation,
        layer_norm=True,
        dtype=config.dtype,
    )
    return networks.encoded(
        encoder, network, num_inputs=config.encoder_inputs or None, freeze=config.freeze_encoder
    )


def critics(action_space: Discrete | Box, config: Config, num: int, **more: Any) -> Any:
    """Several critics: `apply(params, (obs [..., D], action))` is `[num, ...]`."""
    if isinstance(action_space, Box):
        each = networks.action_value(config.hidden, **kind(config), **more)
        return networks.ensemble(encoded(config, each), num)
    each = networks.mlp(config.hidden, action_space.num, **kind(config), **more)
    many = networks.ensemble(encoded(config, each), num)

    def apply(params: PyTree, x: tuple[Array, Array]) -> Array:
        obs, action = x
        return jnp.take_along_axis(many.apply(params, obs), action[None, ..., None], -1)[..., 0]

    return networks.Network(lambda key, x: many.init(key, x[0]), apply)


def windows(
    config: Config, learner: Learner, replay: buffers.Replay, row: Array, length: int
) -> Transition:
    """`[E, n, length]` steps in a row from these rows on, as networks see them, one by one."""
    window = buffers.read(replay, row, length)
    return window._replace(
        obs_tm1=see(config, learner, window.obs_tm1),
        r_t=config.reward_scale * window.r_t + config.reward_shift,
        discount_t=jnp.where(window.discount_t > 0, config.discount, 0.0),
        obs_t=see(config, learner, window.obs_t),
    )


def continuous(name: str, env: Env) -> Box:
    """The environment's action space.

    Raises:
      ValueError: its actions are not continuous, as the agent of this name needs them.
    """
    if not isinstance(env.action_space, Box):
        raise ValueError(f"{name} needs continuous actions, not {env.action_space}: try dqn")
    return env.action_space


def discrete(name: str, env: Env) -> Discrete:
    """The environment's action space.

    Raises:
      ValueError: its actions are not discrete, as the agent of this name needs them.
    """
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"{name} needs discrete actions, not {env.action_space}: try sac or td3")
    return env.action_space


def act_by(
    config: Config,
    action_space: Discrete | Box,
    learner: Learner,
    choose: Callable[[Array, Key], Array],
) -> Policy:
    """A policy without memory, from `choose(obs [..., D] as seen, key) -> action [...]`."""

    def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
        return memory, networks.to_env(action_space, choose(see(config, learner, obs), key))

    return Policy(lambda key: (), act)


def act_by_law(
    config: Config, action_space: Discrete | Box, actor: networks.Network
) -> tuple[Callable[[Learner, Array], Policy], Callable[[Learner], Policy]]:
    """A `Method`'s `explore` and `policy`: a draw from the law of the actor, and its mode."""

    def act(learner: Learner, choose: Callable[[Any, Key], Array]) -> Policy:
        law = lambda obs: actor.apply(learner.params["actor"], obs)
        return act_by(config, action_space, learner, lambda obs, key: choose(law(obs), key))

    return (
        lambda learner, step: act(learner, lambda law, key: law.sample(seed=key)),
        lambda learner: act(learner, lambda law, key: law.mode()),
    )

"""Multilayer perceptrons: policies and values, and the units of actions."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rlax_pref.networks._dense import Dense
from rlax_pref.types import Array, Box, Discrete, Key, PyTree

if TYPE_CHECKING:
    import distrax  # takes a third of the time of all imports: only those who trace it wait for it

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": nn.elu,
    "gelu": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
}


class Network(NamedTuple):
    """A function with parameters: `init(key, x) -> params` and `apply(params, x) -> output`."""

    init: Callable[[Key, Any], PyTree]
    apply: Callable[[PyTree, Any], Any]


def initializer(scale: float) -> jax.nn.initializers.Initializer:
    """Gaussian weights of variance `scale^2 / inputs`.

    Orthogonal weights would do as well, but they take a QR decomposition a layer, and several of
    those at once, batched over seeds, can wait for each other for ever on a CPU with few cores
    (seen with jaxlib 0.10.2).
    """
    return nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


def weights_at_once(
    module: nn.Module, shapes: Sequence[tuple[int, int]], scales: Sequence[float]
) -> list[Callable[..., Array]]:
    """What `initializer` gives for each of several layers, drawn in one go.

    A draw is among the dearest things to compile, so a network of six layers starts sooner.

    Args:
      module: what the layers belong to, in a compact call.
      shapes: `(inputs, outputs)` of each layer.
      scales: gain of each.
    """
    if not module.is_initializing():
        return [nn.initializers.zeros] * len(shapes)  # never called
    sizes = [rows * columns for rows, columns in shapes]
    noise = _truncated_normal(module.make_rng("params"), sum(sizes))
    noise /= jnp.float32(0.87962566)  # the deviation of a Gaussian cut off at two
    parts = jnp.split(noise, list(itertools.accumulate(sizes))[:-1])
    return [
        lambda key, shape, dtype, part=part, scale=scale: (
            (scale / shape[0] ** 0.5 * part).reshape(shape).astype(dtype)
        )
        for part, scale in zip(parts, scales, strict=True)
    ]


def _truncated_normal(key: Key, num: int) -> Array:
    """`jax.random.truncated_normal(key, -2.0, 2.0, (num,))`, in rows of 1024.

    Done at once, the inverse of a Gaussian would be compiled into the kernel of each layer.
    """
    limit = math.erf(math.sqrt(2.0))
    uniform = jax.random.uniform(key, (-(-num // 1024), 1024), minval=-limit, maxval=limit)
    normal = jax.lax.map(lambda row: math.sqrt(2.0) * jax.lax.erf_inv(row), uniform)
    return normal.ravel()[:num].clip(-2.0, 2.0)


def check_dtype(caller: str, dtype: str) -> str:
    """Raises ValueError if networks cannot compute in it."""
    kinds = ("float32", "bfloat16", "float16")
    if dtype not in kinds:
        raise ValueError(f"{caller}: dtype={dtype!r} must be one of {', '.join(kinds)}")
    return dtype


class _Tower(nn.Module):
    """Dense layers; the last has no activation and a scale of its own."""

    sizes: Sequence[int]
    activation: Callable[[Array], Array]
    last_scale: float
    layer_norm: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dense, norm = partial(Dense, dtype=self.dtype), partial(nn.LayerNorm, dtype=self.dtype)
        scales = [2**0.5] * (len(self.sizes) - 1) + [self.last_scale]
        shapes = list(itertools.pairwise((x.shape[-1], *self.sizes)))
        *inner, last = weights_at_once(self, shapes, scales)
        for size, weights in zip(self.sizes[:-1], inner, strict=True):
            x = dense(size, kernel_init=weights)(x)
            x = self.activation(norm()(x) if self.layer_norm else x)
        x = dense(self.sizes[-1], kernel_init=last)(x)
        return x.astype(jnp.float32)


def mlp(
    hidden: Sequence[int],
    num_outputs: int,
    *,
    activation: str = "tanh",
    last_scale: float = 1.0,
    layer_norm: bool = False,
    dtype: str = "float32",
) -> Network:
    """A multilayer perceptron `[..., D] -> [..., num_outputs]`.

    Args:
      hidden: widths of the hidden layers.
      num_outputs: width of the output.
      activation: one of `ACTIVATIONS`.
      last_scale: gain of the last layer's weights; 0.01 makes a first policy that barely
        depends on what it sees.
      layer_norm: whether hidden layers are normalised before their activation.
      dtype: of computation, such as "bfloat16"; parameters and outputs are float32 all the same.
    """
    sizes, dtype = (*hidden, num_outputs), check_dtype("mlp", dtype)
    tower = _Tower(sizes, ACTIVATIONS[activation], last_scale, layer_norm, dtype)
    return Network(lambda key, x: tower.init(key, x)["params"], applying(tower))


def applying(module: nn.Module) -> Callable[[PyTree, Array], Any]:
    return lambda params, x: module.apply({"params": params}, x)


def policy(
    action_space: Discrete | Box,
    hidden: Sequence[int],
    *,
    activation: str = "tanh",
    bounded: bool = False,
    dtype: str = "float32",
) -> Network:
    """A policy network: `apply(params, obs [..., D])` is a distribution over actions.

    Discrete actions are categorical. Continuous ones are Gaussian with a learned standard
    deviation that does not depend on the observation, in units in which the action space is
    `[-1, 1]`; `to_env` turns them into the environment's.

    Args:
      action_space: what the environment takes.
      hidden: widths of the hidden layers.
      activation: one of `ACTIVATIONS`.
      bounded: keeps the mean of continuous actions within bounds by a tanh, and the logarithm of
        their deviation within [-5, 2]. The density is that of a Gaussian all the same, so that it
        is finite where actions are at the bounds.
      dtype: of computation; see `mlp`.

    Returns:
      A `Network` whose output has `sample(seed=)`, `log_prob`, `entropy` and `mode`.
    """
    tower = partial(mlp, hidden, activation=activation, last_scale=0.01, dtype=dtype)
    if isinstance(action_space, Discrete):
        logits = tower(action_space.num)

        def choose(params: PyTree, obs: Array) -> "distrax.Distribution":
            import distrax

            return distrax.Categorical(logits.apply(params, obs))

        return Network(logits.init, choose)
    if len(action_space.shape) != 1:
        raise ValueError(f"Box actions must have shape [A], got {action_space.shape}")
    (num_actions,) = action_space.shape
    mean = tower(num_actions)

    def init(key: Key, obs: Array) -> PyTree:
        return {"mean": mean.init(key, obs), "log_std": jnp.zeros(num_actions)}

    def apply(params: PyTree, obs: Array) -> "distrax.Distribution":
        import distrax

        loc, log_std = mean.apply(params["mean"], obs), params["log_std"]
        if bounded:
            loc, log_std = jnp.tanh(loc), jnp.clip(log_std, -5.0, 2.0)
        return distrax.MultivariateNormalDiag(loc, jnp.broadcast_to(jnp.exp(log_std), loc.shape))

    return Network(init, apply)


def sampling_noise(action_space: Discrete | Box, key: Key, shape: Sequence[int]) -> Array:
    """What sampling so many actions leaves to chance, to be drawn at once: see `sample_with`.

    Returns:
      `[*shape, num]` of a standard Gumbel law for discrete actions, `[*shape, A]` of a standard
      Gaussian for continuous ones.
    """
    if isinstance(action_space, Discrete):
        return jax.random.gumbel(key, (*shape, action_space.num))
    return jax.random.normal(key, (*shape, *action_space.shape))


def sample_with(law: "distrax.Distribution", noise: Array) -> tuple[Array, Array]:
    """Samples what a `policy` does, given `sampling_noise`.

    Returns:
      `[...]` or `[..., A]` actions, and their `[...]` log-probabilities.
    """
    import distrax

    if isinstance(law, distrax.Categorical):
        action = jnp.argmax(law.logits + noise, axis=-1)
    else:
        action = law.loc + law.scale_diag * noise
    return action, law.log_prob(action)


def to_env(action_space: Discrete | Box, action: Array) -> Array:
    """Turns a policy's action into the environment's units.

    Args:
      action_space: what the environment takes.
      action: `[...]` an index, or `[..., A]` numbers of which `[-1, 1]` is within bounds.

    Returns:
      The same index, or the numbers clipped to `[-1, 1]` and mapped onto `[low, high]`.
    """
    if isinstance(action_space, Discrete):
        return action
    half = (action_space.high - action_space.low) / 2
    return action_space.low + half * (jnp.clip(action, -1.0, 1.0) + 1.0)


def from_env(action_space: Discrete | Box, action: Array) -> Array:
    """The inverse of `to_env`, for actions within bounds."""
    if isinstance(action_space, Discrete):
        return action
    half = (action_space.high - action_space.low) / 2
    return (action - action_space.low) / half - 1.0


def value(
    hidden: Sequence[int],
    *,
    activation: str = "tanh",
    layer_norm: bool = False,
    dtype: str = "float32",
) -> Network:
    """A value network `[..., D] -> [...]`, in units of reward; see `mlp`."""
    tower = mlp(hidden, 1, activation=activation, layer_norm=layer_norm, dtype=dtype)
    return Network(tower.init, lambda params, obs: jnp.squeeze(tower.apply(params, obs), -1))


def actor_critic(
    action_space: Discrete | Box,
    hidden: Sequence[int],
    *,
    activation: str = "tanh",
    dtype: str = "float32",
) -> Network:
    """A policy and a value network side by side: `apply(params, obs)` is `(distribution, v)`."""
    actor = policy(action_space, hidden, activation=activation, dtype=dtype)
    critic = value(hidden, activation=activation, dtype=dtype)

    def init(key: Key, obs: Array) -> PyTree:
        key_actor, key_critic = jax.random.split(key)
        return {"actor": actor.init(key_actor, obs), "critic": critic.init(key_critic, obs)}

    return Network(
        init,
        lambda params, obs: (
            actor.apply(params["actor"], obs),
            critic.apply(params["critic"], obs),
        ),
    )

"""Critics of actions: several at once, with heads of their own, of whole laws."""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from rlax_pref.networks._dense import Dense
from rlax_pref.networks._plain import (
    ACTIVATIONS,
    Network,
    _Tower,
    applying,
    check_dtype,
    initializer,
    value,
)
from rlax_pref.types import Array, PyTree


def ensemble(network: Network, num: int) -> Network:
    """Several networks as one: `apply(params, x)` is `[num, ...]`, with parameters of their own.

    All see the same input. Of their answers take the least (TD3, SAC, RAVL), the mean or the
    largest (Digi-Q): say which at each use.

    Args:
      network: the one that there are several of.
      num: how many, at least 1.

    Raises:
      ValueError: `num` is not positive.
    """
    if num < 1:
        raise ValueError(f"ensemble: num={num} must be at least 1")
    return Network(
        lambda key, x: jax.vmap(network.init, in_axes=(0, None))(jax.random.split(key, num), x),
        jax.vmap(network.apply, in_axes=(0, None)),
    )


def action_value(
    hidden: Sequence[int],
    *,
    activation: str = "relu",
    layer_norm: bool = False,
    dtype: str = "float32",
) -> Network:
    """A critic of continuous actions: `apply(params, (obs [..., D], a [..., A]))` is `[...]`."""
    critic = value(hidden, activation=activation, layer_norm=layer_norm, dtype=dtype)
    join = lambda x: jnp.concatenate(x, axis=-1)
    return Network(
        lambda key, x: critic.init(key, join(x)), lambda params, x: critic.apply(params, join(x))
    )


class _Dueling(nn.Module):
    """Shared layers, then one stream for the state and one for what sets actions apart."""

    hidden: Sequence[int]
    stream: int
    num_actions: int
    num_atoms: int
    activation: Callable[[Array], Array]
    dtype: str

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        tower = partial(_Tower, activation=self.activation, dtype=self.dtype)
        x = self.activation(tower(self.hidden, last_scale=2**0.5)(x))
        # Gradients of the two streams meet here, and go on shortened by the root of 2.
        x = x / 2**0.5 + jax.lax.stop_gradient(x - x / 2**0.5)
        v = tower((self.stream, self.num_atoms), last_scale=1.0)(x)
        advantage = tower((self.stream, self.num_actions * self.num_atoms), last_scale=1.0)(x)
        return v, advantage.reshape(*x.shape[:-1], self.num_actions, self.num_atoms)


def dueling(
    hidden: Sequence[int],
    num_actions: int,
    *,
    num_atoms: int | None = None,
    stream: int = 512,
    activation: str = "relu",
    dtype: str = "float32",
) -> Network:
    """A dueling critic (Wang et al., 2015, arXiv:1511.06581); see `values.dueling`.

    Args:
      hidden: widths of the shared layers, at least one.
      num_actions: A.
      num_atoms: m logits or quantiles an action, put together before any softmax; by default
        an action has one number.
      stream: width of the hidden layer of either stream.
      activation: one of `ACTIVATIONS`.
      dtype: of computation; see `mlp`.

    Returns:
      `apply(params, obs [..., D])` is `[..., A]`, or `[..., A, m]`.
    """
    check_dtype("dueling", dtype)
    module = _Dueling(hidden, stream, num_actions, num_atoms or 1, ACTIVATIONS[activation], dtype)

    heads = applying(module)

    def apply(params: PyTree, obs: Array) -> Array:
        v, advantage = heads(params, obs)
        q = v[..., None, :] + advantage - advantage.mean(-2, keepdims=True)
        return q[..., 0] if num_atoms is None else q

    return Network(lambda key, obs: module.init(key, obs)["params"], apply)


class _Implicit(nn.Module):
    """Features of an observation times features of a fraction, and a head for the actions."""

    hidden: Sequence[int]
    num_actions: int
    num_cosines: int
    activation: Callable[[Array], Array]
    dtype: str

    @nn.compact
    def __call__(self, obs: Array, tau: Array) -> Array:
        dense = partial(Dense, dtype=self.dtype)
        tower = _Tower(self.hidden, self.activation, 2**0.5, dtype=self.dtype)
        x = self.activation(tower(obs))
        wave = jnp.cos(jnp.pi * jnp.multiply.outer(tau, jnp.arange(self.num_cosines)))
        fraction = nn.relu(dense(self.hidden[-1], kernel_init=initializer(2**0.5))(wave))
        q = dense(self.num_actions, kernel_init=initializer(1.0))(x[..., None, :] * fraction)
        return jnp.swapaxes(q, -1, -2).astype(jnp.float32)


def implicit_quantiles(
    hidden: Sequence[int],
    num_actions: int,
    *,
    num_cosines: int = 64,
    activation: str = "relu",
    dtype: str = "float32",
) -> Network:
    """Implicit quantile networks (Dabney et al., 2018, arXiv:1806.06923).

    A fraction enters as cosines of it, so one network knows all quantiles of the return.

    Args:
      hidden: widths of the hidden layers, at least one.
      num_actions: A.
      num_cosines: features of a fraction.
      activation: one of `ACTIVATIONS`.
      dtype: of computation; see `mlp`.

    Returns:
      `apply(params, (obs [..., D], tau [..., N]))` is `[..., A, N]`.
    """
    check_dtype("implicit_quantiles", dtype)
    module = _Implicit(hidden, num_actions, num_cosines, ACTIVATIONS[activation], dtype)
    return Network(
        lambda key, x: module.init(key, *x)["params"], lambda p, x: module.apply({"params": p}, *x)
    )

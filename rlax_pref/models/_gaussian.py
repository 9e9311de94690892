"""Ensembles of Gaussian models, PETS (Chua et al., 2018, arXiv:1805.12114)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from rlax_pref import networks, statistics
from rlax_pref._shapes import assert_like
from rlax_pref.models._rollout import Model
from rlax_pref.types import Array, Key, Numeric, PyTree, Transition


class Ensemble(NamedTuple):
    """Models that were learned."""

    params: PyTree  # of each, [M, ...]
    inputs: statistics.Moments  # of (obs, action)
    outputs: statistics.Moments  # of (change of obs, reward)
    elite: Array  # [num_elites] int32, those that foresee best
    error: Array  # [M] mean squared error of each on rows held out, in units of their deviations


def bound_log_variance(raw: Array, low: Numeric, high: Numeric) -> Array:
    """Log variances within soft bounds, of PETS (Chua et al., 2018, arXiv:1805.12114).

        x   = high - softplus(high - raw)
        out = low + softplus(x - low)

    Args:
      raw: `[..., D]` any numbers.
      low: `[D]` or a number; learned with the model.
      high: likewise, well above `low`.

    Returns:
      `[..., D]` above `low`, and below `high` but for a hair. Gradients flow to all three.
    """
    below = high - jax.nn.softplus(high - raw)
    return low + jax.nn.softplus(below - low)


def gaussian_nll(mean: Array, log_variance: Array, outcome: Array) -> Array:
    """How unlikely outcomes are under a Gaussian, of PETS (Chua et al., 2018, arXiv:1805.12114).

        loss = sum_d (mean_d - outcome_d)^2 exp(-log_variance_d) + log_variance_d

    Args:
      mean: `[..., D]`.
      log_variance: `[..., D]`.
      outcome: `[..., D]` what came.

    Returns:
      `[...]` twice the negative log likelihood but for a constant; not reduced.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs.
    """
    assert_like("gaussian_nll", mean=mean, log_variance=log_variance, outcome=outcome)
    return (jnp.square(mean - outcome) * jnp.exp(-log_variance) + log_variance).sum(-1)


def _network(hidden: Sequence[int], num_outputs: int, num: int, dtype: str) -> networks.Network:
    """`apply(params, x [M, ..., D])` is a mean and a log variance, `[M, ..., num_outputs]`."""
    tower = networks.mlp(hidden, 2 * num_outputs, activation="silu", dtype=dtype)

    def init(key: Key, x: Array) -> PyTree:
        many = jax.vmap(tower.init, in_axes=(0, None))(jax.random.split(key, num), x)
        bound = lambda x: jnp.full((num, 1, num_outputs), x, jnp.float32)
        return {"tower": many, "low": bound(-10.0), "high": bound(0.5)}

    def apply(params: PyTree, x: Array) -> tuple[Array, Array]:
        mean, raw = jnp.split(jax.vmap(tower.apply)(params["tower"], x), 2, axis=-1)
        return mean, bound_log_variance(raw, params["low"], params["high"])

    return networks.Network(init, apply)


def fit_ensemble(
    key: Key,
    data: Transition,
    *,
    hidden: Sequence[int] = (128, 128),
    num_models: int = 7,
    num_elites: int = 5,
    num_updates: int = 4000,
    batch_size: int = 256,
    learning_rate: Numeric = 1e-3,
    held_out: float = 0.1,
    dtype: str = "float32",
) -> Ensemble:
    """Several models learned from transitions, of PETS (Chua et al., 2018, arXiv:1805.12114).

    Each foresees the change of the observation and the reward, and how sure it is of either, from
    rows of its own, drawn with replacement. Rows that all were spared say which are best, as in
    MBPO (arXiv:1906.08253).

    Args:
      key: random key.
      data: `[N, ...]` transitions with observations `[N, D]` and actions `[N, A]`; rows that are
        not valid count for nothing.
      hidden: widths of the hidden layers of each.
      num_models: M.
      num_elites: how many of them are used.
      num_updates: minibatches.
      batch_size: rows of a minibatch, of each model.
      learning_rate: of Adam.
      held_out: share of the rows that nobody learns from.
      dtype: what networks compute in; see `networks.mlp`.

    Raises:
      ValueError: there are fewer models than elites, or too few rows to spare any.
    """
    num_rows = data.r_t.shape[0]
    num_held = round(held_out * num_rows)
    if not 1 <= num_elites <= num_models:
        raise ValueError(f"num_elites={num_elites} must be within 1 and num_models={num_models}")
    if not 1 <= num_held < num_rows:
        raise ValueError(f"held_out={held_out} of {num_rows} rows must leave some on either side")
    chex.assert_rank(data.a_tm1, 2)
    x = jnp.concatenate([data.obs_tm1, data.a_tm1], axis=-1)
    y = jnp.concatenate([data.obs_t - data.obs_tm1, data.r_t[:, None]], axis=-1)
    valid = data.valid_t.astype(jnp.float32)
    inputs, outputs = _moments(x, valid), _moments(y, valid)
    x, y = statistics.normalize(inputs, x), statistics.normalize(outputs, y)

    network = _network(hidden, y.shape[-1], num_models, dtype)
    key_order, key_bag, key_init, key_learn = jax.random.split(key, 4)
    order = jax.random.permutation(key_order, num_rows)
    held, kept = order[:num_held], order[num_held:]
    bag = jax.random.choice(key_bag, kept, (num_models, kept.size))
    params = network.init(key_init, x[:1])
    adam = optax.adam(learning_rate)

    def loss(params: PyTree, row: Array) -> Array:
        mean, log_variance = network.apply(params, x[row])
        nll = gaussian_nll(mean, log_variance, y[row])
        bounds = 0.01 * (params["high"].sum() - params["low"].sum())
        each = (valid[row] * nll).sum(-1) / jnp.maximum(valid[row].sum(-1), 1.0)
        return each.sum() + bounds

    def learn(carry: tuple[PyTree, Any], key: Key) -> tuple[tuple[PyTree, Any], None]:
        params, state = carry
        place = jax.random.randint(key, (num_models, batch_size), 0, kept.size)
        row = jnp.take_along_axis(bag, place, axis=1)
        updates, state = adam.update(jax.grad(loss)(params, row), state, params)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(key_learn, num_updates)
    (params, _), _ = jax.lax.scan(learn, (params, adam.init(params)), keys)
    mean, _ = network.apply(params, jnp.broadcast_to(x[held], (num_models, *x[held].shape)))
    squared = jnp.square(mean - y[held]).mean(-1)
    error = (valid[held] * squared).sum(-1) / jnp.maximum(valid[held].sum(), 1.0)
    elite = jnp.argsort(error)[:num_elites].astype(jnp.int32)
    return Ensemble(params, inputs, outputs, elite, error)


def from_ensemble(
    ensemble: Ensemble,
    hidden: Sequence[int],
    terminates: Callable[[Array, Array, Array], Array] | None = None,
    *,
    dtype: str = "float32",
) -> Model:
    """The model that learned ones are together, of PETS (Chua et al., 2018, arXiv:1805.12114).

    Each step is drawn from one of the best of them, at random.

    Args:
      ensemble: from `fit_ensemble`.
      hidden: widths of their hidden layers.
      terminates: `(obs [D], action, obs [D] after it) -> [] bool`; by default nothing ends.
      dtype: what networks compute in; see `networks.mlp`.

    Returns:
      `model(obs [D], action [A], key) -> (obs [D], reward [], terminated [])`.
    """
    num = ensemble.error.shape[0]
    network = _network(hidden, ensemble.outputs.mean.shape[-1], num, dtype)

    def model(obs: Array, action: Array, key: Key) -> tuple[Array, Array, Array]:
        key_which, key_noise = jax.random.split(key)
        x = statistics.normalize(ensemble.inputs, jnp.concatenate([obs, action]))
        mean, log_variance = network.apply(ensemble.params, jnp.broadcast_to(x, (num, 1, x.size)))
        which = jax.random.choice(key_which, ensemble.elite)
        noise = jax.random.normal(key_noise, mean.shape[-1:])
        drawn = mean[which, 0] + jnp.exp(0.5 * log_variance[which, 0]) * noise
        y = ensemble.outputs.mean + jnp.sqrt(ensemble.outputs.var) * drawn
        after = obs + y[:-1]
        over = jnp.zeros((), bool) if terminates is None else terminates(obs, action, after)
        return after, y[-1], over

    return model


def _moments(x: Array, valid: Array) -> statistics.Moments:
    """Of the valid rows; what never changes has a deviation of 1."""
    num = jnp.maximum(valid.sum(), 1.0)
    mean = (valid[:, None] * x).sum(0) / num
    var = (valid[:, None] * jnp.square(x - mean)).sum(0) / num
    return statistics.Moments(num, mean, jnp.where(var > 1e-12, var, 1.0))

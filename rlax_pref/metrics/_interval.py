"""How sure is a mean?"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Key, Numeric, PyTree


class Interval(NamedTuple):
    """Bounds on a mean."""

    low: Array
    high: Array


def interval(
    x: Array,
    level: Numeric = 0.95,
    *,
    method: Literal["normal", "student", "hoeffding", "bernstein"] = "normal",
    spread: Numeric | None = None,
) -> Interval:
    """Confidence intervals of a mean (Student, 1908; Maurer & Pontil, 2009, arXiv:0907.3740).

    Two-sided, so each side leaves out alpha / 2, alpha = 1 - level:

        normal:     z(1 - alpha / 2) std / sqrt(n)
        student:    t(1 - alpha / 2, n - 1) std / sqrt(n)
        hoeffding:  spread sqrt(log(2 / alpha) / (2 n))
        bernstein:  std sqrt(2 log(4 / alpha) / n) + 7 spread log(4 / alpha) / (3 (n - 1))

    The first holds for many samples, the second for any number of Gaussian ones, and the others
    (Hoeffding, 1963, JASA 58:13-30, is the first of them) for any number of any.

    Args:
      x: `[..., n]` samples.
      level: in (0, 1).
      method: one of the four.
      spread: the largest less the smallest number that a sample can be; for the latter two.

    Returns:
      `[...]` bounds. The standard deviation is that with n - 1.

    Raises:
      ValueError: no such method, or it needs a spread.
    """
    num, alpha = x.shape[-1], 1.0 - level
    mean, std = x.mean(-1), x.std(-1, ddof=1)
    if method in ("normal", "student"):
        quantile = (
            jax.scipy.special.ndtri(1.0 - alpha / 2.0)
            if method == "normal"
            else _student(level, num - 1)
        )
        half = quantile * std / num**0.5
        return Interval(mean - half, mean + half)
    if spread is None:
        raise ValueError(f"interval: method={method!r} needs the spread of a sample")
    if method == "hoeffding":
        half = jnp.broadcast_to(spread * jnp.sqrt(jnp.log(2.0 / alpha) / (2.0 * num)), mean.shape)
    elif method == "bernstein":
        log = jnp.log(4.0 / alpha)
        half = std * jnp.sqrt(2.0 * log / num) + 7.0 * spread * log / (3.0 * (num - 1))
    else:
        raise ValueError(
            f"interval: method must be normal, student, hoeffding or bernstein, not {method!r}"
        )
    return Interval(mean - half, mean + half)


def bootstrap(
    key: Key,
    x: PyTree,
    level: Numeric = 0.95,
    *,
    statistic: Callable[..., Array] = jnp.mean,
    axis: int = 0,
    num_resamples: int = 1000,
) -> Interval:
    """Bootstrap intervals, by percentiles (Efron, 1979, Annals of Statistics 7:1-26).

    Estimates that are no mean of independent numbers, such as those that divide by their weights,
    are made anew of each resample:

        estimate = lambda data: per_decision_is(*data, discount, normalize=True).mean()
        bootstrap(key, (r_t, log_ratio), statistic=estimate, axis=1)

    Args:
      key: random key.
      x: samples: a pytree of arrays that have n of them along `axis`.
      level: in (0, 1).
      statistic: `x -> []`, of which bounds are asked for.
      axis: of the samples.
      num_resamples: how often n of them are drawn with replacement.

    Returns:
      `[]` bounds.
    """
    num = jax.tree.leaves(x)[0].shape[axis]

    def draw(key: Key) -> Array:
        row = jax.random.randint(key, (num,), 0, num)
        return statistic(jax.tree.map(lambda x: jnp.take(x, row, axis), x))

    found = jax.lax.map(draw, jax.random.split(key, num_resamples), batch_size=64)
    tail = (1.0 - level) / 2.0
    return Interval(*jnp.quantile(found, jnp.stack([jnp.asarray(tail), jnp.asarray(1.0 - tail)])))


def _student(level: Numeric, freedom: int) -> Array:
    """What a Student t stays within, on either side of 0, with this probability."""
    # P(|T| < t) = I_y(1 / 2, freedom / 2) where y = t^2 / (freedom + t^2), which bisection inverts.
    within = lambda y: jax.scipy.special.betainc(0.5, 0.5 * freedom, y)

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = 0.5 * (low + high)
        enough = within(middle) >= level
        return (jnp.where(enough, low, middle), jnp.where(enough, middle, high)), None

    start = jnp.zeros_like(level, jnp.float32), jnp.ones_like(level, jnp.float32)
    (y, _), _ = jax.lax.scan(halve, start, length=50)
    return jnp.sqrt(freedom * y / (1.0 - y))

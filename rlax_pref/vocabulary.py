"""Laws over large vocabularies, whose logits are never all there at once.

A language model's last layer makes `[..., V]` logits of `[..., D]` features, and a loss wants a few
numbers of each: the log-probability of one token, the entropy, a divergence. For batches of long
responses the logits are most of the memory of training. Here they are made a block of rows and a
chunk of the vocabulary at a time, summed up as they come, and made once more for the gradient
(Milakov & Gimelshein, 2018, arXiv:1805.02867, for the sums). Values and gradients are those of the
plain formulas to rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref._blocks import over_blocks
from rlax_pref.types import Array, Numeric

LARGE = 4096
"""Tokens from which on chunks are worth it."""


class Head(NamedTuple):
    """A last layer: `logits = features @ kernel + bias`."""

    kernel: Array  # [D, V]
    bias: Array  # [V]


class Law(NamedTuple):
    """A token and the law that it is from. All `[...]`."""

    log_prob: Array  # float32, of the token
    entropy: Array  # float32, in nats
    likeliest: Array  # bool, no token is likelier; of equals the first is
    mean_output: Array  # float32, of the logits, of which only changes mean something; detached


def token_law(
    features: Array,
    head: Head,
    token: Array,
    temperature: Numeric = 1.0,
    *,
    rows: int = 1024,
    columns: int = 1024,
) -> Law:
    """Log-probability of a token and entropy of its law, as of `reading.token_law`.

        p = softmax((features @ kernel + bias) / temperature)

    Args:
      features: `[..., D]`.
      head: of V tokens.
      token: `[...]` int, kept within [0, V).
      temperature: >= 0, 0 for the law that always takes the largest logit; a scalar, or `[...]`.
      rows: of features in a block.
      columns: tokens in a chunk of the vocabulary.

    Returns:
      `Law` of `[...]`. Gradients of `log p(token)` and `-sum p log p` flow to features, head and
      temperature. Forward mode is not there.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    _assert_fits("token_law", features, head, token)
    temperature = jnp.asarray(temperature, jnp.float32)
    chance, shape = temperature > 0, token.shape
    inverse = jnp.broadcast_to(1.0 / jnp.where(chance, temperature, 1.0), shape)
    token = jnp.clip(token, 0, head.bias.shape[0] - 1)
    flat = features.reshape(-1, features.shape[-1])
    found = _law(flat, head, token.reshape(-1), inverse.reshape(-1), rows, columns)
    log_prob, entropy, likeliest = (x.reshape(shape) for x in found)
    kernel, bias = (x.mean(-1, dtype=jnp.float32) for x in head)
    mean_output = jax.lax.stop_gradient(features.astype(jnp.float32) @ kernel + bias)
    return Law(
        jnp.where(chance, log_prob, 0.0), jnp.where(chance, entropy, 0.0), likeliest, mean_output
    )


def kl(
    features: Array,
    head: Head,
    anchor_features: Array,
    anchor_head: Head,
    *,
    rows: int = 1024,
    columns: int = 1024,
) -> Array:
    """Divergence of each law from an anchor's, exact over the whole vocabulary.

        sum p (log p - log q)     p and q are the softmax of either side's logits

    Args:
      features: `[..., D]`.
      head: of V tokens.
      anchor_features: `[..., D']`, detached.
      anchor_head: of the same V tokens, detached.
      rows: of features in a block.
      columns: tokens in a chunk of the vocabulary.

    Returns:
      `[...]` float32, >= 0 to rounding. Gradients flow to features and head.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    shape = features.shape[:-1]
    _assert_fits("kl", features, head, jax.ShapeDtypeStruct(shape, jnp.int32))
    _assert_fits("kl", anchor_features, anchor_head, jax.ShapeDtypeStruct(shape, jnp.int32))
    chex.assert_equal_shape((head.bias, anchor_head.bias), custom_message="kl: heads of one size")
    flat = lambda x: x.reshape(-1, x.shape[-1])
    anchor = jax.lax.stop_gradient((flat(anchor_features), anchor_head))
    return _kl(flat(features), head, anchor, rows, columns).reshape(shape)


def over_rows(
    function: Callable[..., Array],
    features: Sequence[Array],
    heads: Sequence[Head],
    *,
    numbers: int = 2**22,
) -> Array:
    """Any function of whole laws, of a few rows at a time: what needs a vocabulary in order.

    Logits are made once more for the gradient. `token_law` and `kl` are faster where they serve.

    Args:
      function: of logits `[R, V]`, one for each head, to `[R]`; each row by itself.
      features: `[..., D]` each, one for each head.
      heads: of V tokens each.
      numbers: logits that a head makes at once.

    Returns:
      `[...]`. Gradients flow to features and heads.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    shape = features[0].shape[:-1]
    for x, head in zip(features, heads, strict=True):
        _assert_fits("over_rows", x, head, jax.ShapeDtypeStruct(shape, jnp.int32))
    types = [head.kernel.dtype for head in heads]
    exact = [jax.tree.map(lambda x: x.astype(jnp.float32), head) for head in heads]  # to sum up in

    @jax.checkpoint
    def block(heads: list[Head], given: tuple[Array, ...]) -> Array:
        rounded = [Head(x.kernel.astype(t), x.bias) for x, t in zip(heads, types, strict=True)]
        return function(*[logits(x, head) for x, head in zip(given, rounded, strict=True)])

    flat = tuple(x.reshape(-1, x.shape[-1]) for x in features)
    rows = max(1, numbers // heads[0].bias.shape[0])
    _, found = over_blocks(lambda _, given: (None, block(exact, given)), None, flat, rows)
    return found.reshape(shape)


def logits(features: Array, head: Head) -> Array:
    """`[..., V]` float32, all at once."""
    bias = head.bias.astype(jnp.float32)
    made = jnp.matmul(features, head.kernel, preferred_element_type=jnp.float32)
    return made + jnp.expand_dims(bias, range(made.ndim - 1))


# Log-probabilities and entropies ------------------------------------------------------------


class _Sums(NamedTuple):
    """What is known of a softmax after some of its logits; every sum is over exp(logit - top)."""

    top: Array  # [R] the largest logit so far
    total: Array  # [R] sum of weights
    first: Array  # [R] sum of weights times numbers


def _nothing(num: int) -> _Sums:
    return _Sums(jnp.full(num, -jnp.inf), jnp.zeros(num), jnp.zeros(num))


def _take_in(sums: _Sums, logits: Array, numbers: Numeric) -> _Sums:
    """`[R, C]` more logits, and a number for each; -inf is no logit."""
    top = jnp.maximum(sums.top, logits.max(-1))
    keep, weight = jnp.exp(sums.top - top), jnp.exp(logits - top[:, None])
    numbers = jnp.where(weight > 0, numbers, 0.0)
    return _Sums(
        top, keep * sums.total + weight.sum(-1), keep * sums.first + (weight * numbers).sum(-1)
    )


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _law(
    x: Array, head: Head, token: Array, inverse: Array, rows: int, columns: int
) -> tuple[Array, Array, Array]:
    """Log-probability, entropy and whether no token is likelier."""
    return _law_forward(x, head, token, inverse, rows, columns)[0]


def _law_forward(
    x: Array, head: Head, token: Array, inverse: Array, rows: int, columns: int
) -> tuple[tuple[Array, Array, Array], Any]:
    def block(_: None, given: tuple[Array, Array, Array]) -> tuple[None, Any]:
        x, token, inverse = given

        def chunk(start: Array, index: Array, part: Head, carry: Any) -> Any:
            sums, picked, before = carry
            logits = _logits(x, part, inverse, index >= start)
            age = index[None] - token[:, None]
            picked = jnp.maximum(picked, jnp.where(age == 0, logits, -jnp.inf).max(-1))
            before = jnp.maximum(before, jnp.where(age < 0, logits, -jnp.inf).max(-1))
            return _take_in(sums, logits, logits), picked, before

        nothing = _nothing(x.shape[0])
        begin = (nothing, nothing.top, nothing.top)
        sums, picked, before = _over_chunks(head, columns, chunk, begin)
        log_total = sums.top + jnp.log(sums.total)
        likeliest = (picked >= sums.top) & (picked > before)
        entropy = log_total - sums.first / sums.total
        return None, (picked - log_total, entropy, likeliest, log_total)

    found = over_blocks(block, None, (x, token, inverse), rows)[1]
    log_prob, entropy, likeliest, log_total = found
    return (log_prob, entropy, likeliest), (x, head, token, inverse, entropy, log_total)


def _law_backward(rows: int, columns: int, kept: Any, grads: tuple[Array, Array, Any]) -> Any:
    x, head, token, inverse, entropy, log_total = kept

    def block(total: Head, given: Any) -> tuple[Head, Any]:
        x, token, inverse, entropy, log_total, of_log_prob, of_entropy = given

        def chunk(start: Array, index: Array, part: Head, carry: Any) -> Any:
            total, of_x, of_inverse = carry
            raw = _logits(x, part, jnp.ones_like(inverse), index >= start)
            log_p = raw * inverse[:, None] - log_total[:, None]
            p, there = jnp.exp(log_p), (index >= start)[None]
            at = (index[None] == token[:, None]) & there
            slope = of_log_prob[:, None] * (at - p)
            slope -= of_entropy[:, None] * p * jnp.where(p > 0, log_p + entropy[:, None], 0.0)
            of_inverse += jnp.where(there, slope * raw, 0.0).sum(-1)
            total, of_more = _pull(x, part, slope * inverse[:, None], start, index, total)
            return total, of_x + of_more, of_inverse

        start = (total, jnp.zeros(x.shape, jnp.float32), jnp.zeros_like(inverse))
        total, of_x, of_inverse = _over_chunks(head, columns, chunk, start)
        return total, (of_x, of_inverse)

    given = (x, token, inverse, entropy, log_total, *grads[:2])
    total, (of_x, of_inverse) = over_blocks(block, _zeros(head), given, rows)
    return of_x.astype(x.dtype), _like(total, head), None, of_inverse


_law.defvjp(_law_forward, _law_backward)


# Divergences --------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _kl(x: Array, head: Head, anchor: tuple[Array, Head], rows: int, columns: int) -> Array:
    return _kl_forward(x, head, anchor, rows, columns)[0]


def _kl_forward(
    x: Array, head: Head, anchor: tuple[Array, Head], rows: int, columns: int
) -> tuple[Array, Any]:
    y, anchor_head = anchor

    def block(_: None, given: tuple[Array, Array]) -> tuple[None, Any]:
        x, y = given
        one = jnp.ones(x.shape[0])

        def chunk(start: Array, index: Array, part: Any, carry: tuple[_Sums, _Sums]) -> Any:
            own, other = part
            logits = _logits(x, own, one, index >= start)
            anchored = _logits(y, other, one, index >= start)
            sums, anchor_sums = carry
            return _take_in(sums, logits, logits - anchored), _take_in(anchor_sums, anchored, 0.0)

        begin = (_nothing(x.shape[0]), _nothing(x.shape[0]))
        sums, anchor_sums = _over_chunks((head, anchor_head), columns, chunk, begin)
        log_total = sums.top + jnp.log(sums.total)
        log_other = anchor_sums.top + jnp.log(anchor_sums.total)
        return None, (sums.first / sums.total - log_total + log_other, log_total, log_other)

    found = over_blocks(block, None, (x, y), rows)[1]
    return found[0], (x, head, anchor, found)


def _kl_backward(rows: int, columns: int, kept: Any, grad: Array) -> Any:
    x, head, anchor, found = kept
    y, anchor_head = anchor

    def block(total: Head, given: Any) -> tuple[Head, Array]:
        x, y, (divergence, log_total, log_other), grad = given
        one = jnp.ones(x.shape[0])

        def chunk(start: Array, index: Array, part: Any, carry: Any) -> Any:
            (total, of_x), (own, other) = carry, part
            log_p = _logits(x, own, one, index >= start) - log_total[:, None]
            log_q = _logits(y, other, one, index >= start) - log_other[:, None]
            p = jnp.exp(log_p)
            slope = p * jnp.where(p > 0, log_p - log_q - divergence[:, None], 0.0)
            total, of_more = _pull(x, own, grad[:, None] * slope, start, index, total)
            return total, of_x + of_more

        begin = (total, jnp.zeros(x.shape, jnp.float32))
        return _over_chunks((head, anchor_head), columns, chunk, begin)

    total, of_x = over_blocks(block, _zeros(head), (x, y, found, grad), rows)
    return of_x.astype(x.dtype), _like(total, head), jax.tree.map(jnp.zeros_like, anchor)


_kl.defvjp(_kl_forward, _kl_backward)


# Chunks -------------------------------------------------------------------------------------


def _logits(x: Array, part: Head, inverse: Array, there: Array) -> Array:
    """`[R, C]` of a chunk; -inf where they were counted before."""
    return jnp.where(there[None], logits(x, part) * inverse[:, None], -jnp.inf)


def _pull(
    x: Array, part: Head, slope: Array, start: Array, index: Array, total: Head
) -> tuple[Head, Array]:
    """Adds a chunk's gradient to the head's, and makes that of the features."""
    slope = jnp.where((index >= start)[None], slope, 0.0)
    rounded = slope.astype(part.kernel.dtype)
    add = lambda x, more, axis: jax.lax.dynamic_update_slice_in_dim(
        x,
        jax.lax.dynamic_slice_in_dim(x, index[0], index.shape[0], axis) + more,
        index[0],
        axis,
    )
    of_kernel = jnp.matmul(x.T, rounded, preferred_element_type=jnp.float32)
    of_x = jnp.matmul(rounded, part.kernel.T, preferred_element_type=jnp.float32)
    return Head(add(total.kernel, of_kernel, 1), add(total.bias, slope.sum(0), 0)), of_x


def _over_chunks(
    heads: Any, columns: int, chunk: Callable[[Array, Array, Any, Any], Any], carry: Any
) -> Any:
    """Takes the vocabulary chunk by chunk: `chunk(start, index [C], heads [.., C], carry)`.

    The last chunk reaches back where it must to be whole; only what is from `start` on is new.
    """
    num = jax.tree.leaves(heads)[0].shape[-1]
    width = min(columns, num)

    def body(i: Array, carry: Any) -> Any:
        first = jnp.minimum(i * width, num - width)
        part = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, width, axis=-1), heads)
        return chunk(i * width, first + jnp.arange(width), part, carry)

    return jax.lax.fori_loop(0, -(-num // width), body, carry)


def _zeros(head: Head) -> Head:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), head)


def _like(grads: Head, head: Head) -> Head:
    return jax.tree.map(lambda x, like: x.astype(like.dtype), grads, head)


def _assert_fits(caller: str, features: Array, head: Head, token: Any) -> None:
    chex.assert_shape(
        features,
        (*token.shape, head.kernel.shape[0]),
        custom_message=f"{caller}: features must be [..., D] where the kernel is [D, V]",
    )
    chex.assert_shape(
        head.bias, head.kernel.shape[1:], custom_message=f"{caller}: the bias must be [V]"
    )

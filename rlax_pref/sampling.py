"""Sampling responses: one compiled loop over tokens, and what follows from it.

Any `networks.TokenNetwork` samples; prompts have any leading axes. A response ends with its stop
token, which belongs to it, or when it has as many tokens as it may have. What comes after the end
is filled with the stop token and is never live.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref import reading
from rlax_pref.networks import TokenNetwork
from rlax_pref.types import Array, Key, Numeric, PyTree

Score = Callable[[Key, Array, Array, Array], Array]
"""`(key, prompt [Lp], response [L], live [L]) -> []`, as `score` of a token task."""


class Responses(NamedTuple):
    """Sampled responses. All `[..., L]`."""

    response: Array  # int32 tokens
    mask: Array  # bool, tokens that the policy sampled: live and not given
    log_prob: Array  # float32, of the token at the sampling temperature; 0 where not live
    entropy: Array  # float32, of the law the token is from, in nats; 0 where not live
    live: Array  # bool, tokens of the response, given ones included: what a score reads


def sample(
    network: TokenNetwork,
    params: PyTree,
    prompt: Array,
    key: Key,
    *,
    max_length: int,
    stop: int | None = None,
    temperature: Numeric = 1.0,
    prefix: Array | None = None,
    num_kept: Array | None = None,
    limit: Array | None = None,
) -> Responses:
    """Samples a response to each prompt, all in step, a token at a time.

    Args:
      network: whose outputs are logits.
      params: its parameters.
      prompt: `[..., Lp]` int symbols.
      key: of the samples.
      max_length: L, tokens that a response can have.
      stop: the token that ends a response; by default none does.
      temperature: > 0, or 0 to take the likeliest token always; a scalar, or `[...]`.
      prefix: `[..., L]` int tokens of which the first ones are given; needs `num_kept`.
      num_kept: `[...]` int, how many tokens of `prefix` are given, 0 to L. A stop token among
        them ends the response as a sampled one would.
      limit: `[...]` int, tokens that each response may have, given ones included; L by default.

    Returns:
      Responses, detached. Given tokens are live and not in the mask; their log-probabilities
      are those the network gives them.

    Raises:
      ValueError: one of `prefix` and `num_kept` came alone.
    """
    if (prefix is None) != (num_kept is None):
        raise ValueError("sample: prefix and num_kept go together")
    batch = prompt.shape[:-1]
    if prefix is None or num_kept is None:
        prefix, num_kept = jnp.zeros((*batch, max_length), jnp.int32), jnp.zeros(batch, jnp.int32)
    limit = jnp.full(batch, max_length) if limit is None else limit
    _assert_fits("sample", prompt, max_length, prefix, num_kept=num_kept, limit=limit)
    params = jax.lax.stop_gradient(params)
    time = jnp.arange(max_length)
    given, allowed = time < num_kept[..., None], time < limit[..., None]
    moments = _moments(key, prefix.astype(jnp.int32), given, allowed)
    step = lambda memory, token: network.step(params, memory, token)
    going = jnp.ones(batch, bool)
    _, responses = _write(
        step, network.start(params, prompt), going, moments, temperature=temperature, stop=stop
    )
    return responses


class _Moment(NamedTuple):
    """What is known of a token before it is chosen; `[...]`, or `[T, ...]` of T tokens."""

    token: Array  # int32, the token where it is given
    given: Array  # bool, whether it is
    allowed: Array  # bool, the response may have this token
    chance: Array  # float32 in [0, 1), which of the tokens is sampled


def _moments(key: Key, token: Array, given: Array, allowed: Array) -> _Moment:
    """Puts time first: `[..., T]` -> `[T, ...]`."""
    token, given, allowed = (jnp.moveaxis(x, -1, 0) for x in (token, given, allowed))
    return _Moment(token, given, allowed, jax.random.uniform(key, token.shape))


def _write(
    step: Callable[[Any, Array], tuple[Any, Array]],
    begun: tuple[Any, Array],
    going: Array,
    moments: _Moment,
    *,
    temperature: Numeric,
    stop: int | None,
) -> tuple[Array, Responses]:
    """Writes T tokens of each response.

    Args:
      step: `(memory, token [...]) -> (memory, output [..., K])`.
      begun: memory and output before the first of them.
      going: `[...]` bool, the response has not ended yet.
      moments: of T tokens.
      temperature: see `sample`.
      stop: see `sample`.

    Returns:
      Whether each response still goes on, `[...]`, and the tokens, `[..., T]`.
    """

    def choose(output: Array, going: Array, now: _Moment) -> tuple[Array, Responses]:
        live = going & now.allowed
        token = jnp.where(now.given, now.token, _draw(now.chance, output, temperature))
        token = jnp.where(live, token, _fill(stop))
        law = reading.token_law(output, token, temperature)
        chosen = Responses(
            response=token,
            mask=live & ~now.given,
            log_prob=jnp.where(live, law.log_prob, 0.0),
            entropy=jnp.where(live, law.entropy, 0.0),
            live=live,
        )
        return live if stop is None else live & (token != stop), chosen

    def advance(carry: tuple[Any, Array, Array], now: _Moment) -> tuple[Any, Responses]:
        memory, token, going = carry
        memory, output = step(memory, token)
        going, chosen = choose(output, going, now)
        return (memory, chosen.response, going), chosen

    memory, output = begun
    going, first = choose(output, going, jax.tree.map(lambda x: x[0], moments))
    carry = (memory, first.response, going)
    (_, _, going), others = jax.lax.scan(advance, carry, jax.tree.map(lambda x: x[1:], moments))
    return going, jax.tree.map(
        lambda x, more: jnp.moveaxis(jnp.concatenate([x[None], more]), 0, -1), first, others
    )


def _fill(stop: int | None) -> int:
    """What stands where no token is."""
    return 0 if stop is None else stop


def _draw(chance: Array, output: Array, temperature: Numeric, *, block: int = 128) -> Array:
    """The token of softmax(output / temperature) at which summed probabilities pass a number.

    One number a token, where Gumbel noise takes one for each of the vocabulary; blocks are summed
    first, then the tokens of the block that it falls into.

    Args:
      chance: `[...]` in [0, 1).
      output: `[..., K]` logits.
      temperature: >= 0, a scalar, or `[...]`; at 0 the first of the largest logits.
      block: tokens of a block.
    """
    warm = jnp.broadcast_to(jnp.asarray(temperature) > 0, chance.shape)
    scale = jnp.broadcast_to(jnp.where(warm, temperature, 1.0), chance.shape)[..., None]
    output = output.astype(jnp.float32)
    top = output.max(-1, keepdims=True)
    weight = jnp.where(warm[..., None], jnp.exp((output - top) / scale), output == top)
    chance = jnp.where(warm, chance, 0.0)[..., None]
    index, inside, level = _block(weight, chance, block)
    behind = jnp.cumsum(inside, axis=-1) <= jnp.maximum(level, 0.0)
    # Rounding may put the number behind all tokens of the block: then it is at the last of them.
    last = jnp.where(inside > 0, index, 0).max(-1)
    return jnp.minimum(index[..., 0] + behind.sum(-1), last)


def _block(weight: Array, chance: Array, size: int) -> tuple[Array, Array, Array]:
    """The block of weights `[..., K]` that a number `[..., 1]` falls into, and where in it."""
    num, ones = weight.shape[-1], (1,) * (weight.ndim - 1)
    if num <= size:
        level = chance * jnp.cumsum(weight, axis=-1)[..., -1:]
        return jnp.arange(num).reshape(*ones, -1), weight, level
    whole = num // size * size
    total = weight[..., :whole].reshape(*weight.shape[:-1], -1, size).sum(-1)
    total = jnp.append(total, weight[..., whole:].sum(-1, keepdims=True), axis=-1)
    upto = jnp.cumsum(total, axis=-1)
    level = chance * upto[..., -1:]
    which = (upto <= level).sum(-1, keepdims=True)
    index = which * size + jnp.arange(size).reshape(*ones, -1)
    inside = jnp.take_along_axis(weight, index, axis=-1, mode="fill", fill_value=0.0)
    return index, inside, level - jnp.take_along_axis(upto - total, which, axis=-1)


def score_responses(score: Score, prompt: Array, responses: Responses, key: Key) -> Array:
    """Scores each response: `[..., Lp]` prompts and `[..., L]` responses -> `[...]` float32.

    Args:
      score: of a token task, for one prompt and one response.
      prompt: `[..., Lp]`.
      responses: of these prompts.
      key: split into one key a response.
    """
    batch = prompt.shape[:-1]
    for _ in batch:
        score = jax.vmap(score)
    return score(jax.random.split(key, batch), prompt, responses.response, responses.live)


def prefix_values(
    network: TokenNetwork,
    params: PyTree,
    score: Score,
    prompt: Array,
    response: Array,
    cuts: Array,
    key: Key,
    *,
    num_samples: int,
    stop: int | None = None,
    temperature: Numeric = 1.0,
    limit: Array | None = None,
) -> Array:
    """Monte-Carlo values of prefixes (Guo et al., 2025, arXiv:2505.23564).

        V(response[:cut]) = mean score of `num_samples` responses that begin with response[:cut]

    A cut at the end or after it has nothing to sample: its value is the score of the response.
    So differences of the values at 0, ..., L add up to that score minus the prompt's value.

    Args:
      network: whose outputs are logits.
      params: its parameters.
      score: `(key, prompt [Lp], response [L], live [L]) -> []`.
      prompt: `[..., Lp]` int symbols.
      response: `[..., L]` int tokens.
      cuts: `[..., C]` int, each 0 to L: how many tokens a prefix keeps.
      key: of the continuations and their scores.
      num_samples: continuations of each prefix.
      stop: the token that ends a response; by default none does.
      temperature: of the continuations, a scalar.
      limit: `[...]` int, tokens that each response may have, L by default.

    Returns:
      `[..., C]` float32, detached. Values of neighbouring cuts share no samples.
    """
    batch = (*cuts.shape, num_samples)
    *_, length = response.shape
    _assert_fits("prefix_values", prompt, length, response)
    chex.assert_shape(
        cuts, (*prompt.shape[:-1], None), custom_message="prefix_values: cuts must be [..., C]"
    )

    def spread(x: Array, last: tuple[int, ...]) -> Array:
        return jnp.broadcast_to(jnp.expand_dims(x, (cuts.ndim - 1, cuts.ndim)), (*batch, *last))

    prompts = spread(prompt, prompt.shape[-1:])
    key_sample, key_score = jax.random.split(key)
    responses = sample(
        network,
        params,
        prompts,
        key_sample,
        max_length=length,
        stop=stop,
        temperature=temperature,
        prefix=spread(response, (length,)),
        num_kept=jnp.broadcast_to(cuts[..., None], batch),
        limit=None if limit is None else spread(limit, ()),
    )
    return score_responses(score, prompts, responses, key_score).mean(-1)


# Windows ------------------------------------------------------------------------------------


class Slots(NamedTuple):
    """Responses under way, sampled a window at a time; every leaf leads with the same axes."""

    prompt: Array  # [..., Lp] int32
    responses: Responses  # as far as written; the mask marks the tokens of the latest window
    finished: Array  # [...] bool, ended by the stop token or by the limit


def open_slots(prompt: Array, *, max_length: int, stop: int | None = None) -> Slots:
    """Slots in which nothing is written yet, for `[..., Lp]` prompts."""
    shape = (*prompt.shape[:-1], max_length)
    nothing = jnp.zeros(shape, bool)
    blank = jnp.full(shape, _fill(stop), jnp.int32)
    responses = Responses(blank, nothing, jnp.zeros(shape), jnp.zeros(shape), nothing)
    return Slots(prompt, responses, jnp.zeros(shape[:-1], bool))


def refill(slots: Slots, prompt: Array, *, stop: int | None = None) -> Slots:
    """Gives new prompts, `[..., Lp]`, to the slots that have finished."""
    max_length = slots.responses.response.shape[-1]
    fresh = open_slots(prompt, max_length=max_length, stop=stop)

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(
            jnp.expand_dims(slots.finished, range(slots.finished.ndim, new.ndim)), new, old
        )

    return jax.tree.map(choose, fresh, slots)


def advance(
    network: TokenNetwork,
    params: PyTree,
    slots: Slots,
    key: Key,
    *,
    num_tokens: int,
    stop: int | None = None,
    temperature: Numeric = 1.0,
    limit: Array | None = None,
) -> Slots:
    """Samples the next window of every slot (Fan et al., 2025, arXiv:2506.15050).

    What is written is read once more, in one pass and with the parameters of now; then each slot
    goes on from where it is. Its earlier tokens keep the log-probabilities they were sampled at.
    A slot that has finished stays as it is, with an empty mask. One window of L tokens is `sample`.

    Args:
      network: whose outputs are logits.
      params: its parameters.
      slots: from `open_slots`, `refill` or an earlier call.
      key: of the samples.
      num_tokens: w, tokens of a window.
      stop: the token that ends a response; by default none does.
      temperature: see `sample`.
      limit: `[...]` int, tokens that each response may have, L by default.

    Returns:
      The slots after at most w more tokens each; detached.
    """
    params = jax.lax.stop_gradient(params)
    prompt, responses, finished = slots
    *batch, max_length = responses.response.shape
    limit = jnp.full(batch, max_length) if limit is None else limit
    _assert_fits("advance", prompt, max_length, responses.response, limit=limit)
    written = responses.live.sum(-1)
    start, step = network.start, network.step
    for _ in batch:  # slots are at different places, so each goes on by itself
        start, step = jax.vmap(start, (None, 0, 0, 0)), jax.vmap(step, (None, 0, 0))

    place = written[..., None] + jnp.arange(num_tokens)  # of each token of the window
    unknown = jnp.zeros(place.shape, jnp.int32)
    moments = _moments(key, unknown, unknown > 0, place < limit[..., None])
    going, window = _write(
        lambda memory, token: step(params, memory, token),
        start(params, prompt, responses.response, written),
        ~finished,
        moments,
        temperature=temperature,
        stop=stop,
    )
    age = jnp.arange(max_length) - written[..., None]  # in the window
    inside = (age >= 0) & (age < num_tokens)

    def write(new: Array, old: Array) -> Array:
        moved = jnp.take_along_axis(new, jnp.clip(age, 0, num_tokens - 1), axis=-1)
        return jnp.where(inside, moved, old)

    responses = jax.tree.map(write, window, responses._replace(mask=jnp.zeros_like(inside)))
    return Slots(prompt, responses, ~going | (responses.live.sum(-1) >= limit))


def _assert_fits(
    caller: str, prompt: Array, max_length: int, response: Array, **numbers: Array
) -> None:
    batch = prompt.shape[:-1]
    chex.assert_shape(
        response,
        (*batch, max_length),
        custom_message=f"{caller}: a response must be [..., L] where its prompt is [..., Lp]",
    )
    for name, x in numbers.items():
        message = f"{caller}: {name} must be [...], one number a prompt"
        chex.assert_shape(x, batch, custom_message=message)

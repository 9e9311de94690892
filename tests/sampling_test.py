"""Sampling: laws, ends, given tokens, and the values of prefixes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import networks, reading, sampling, tokens
from rlax_pref.envs import token_lock

KEY = jax.random.key(0)
SYMBOLS, TOKENS, LENGTH, STOP = 7, 3, 5, 2
PROMPT = jax.random.randint(jax.random.key(2), (2, 4, 2), TOKENS, SYMBOLS)
NETWORKS = {
    "transformer": networks.transformer(
        SYMBOLS, TOKENS, 2, LENGTH, width=8, num_heads=2, num_layers=1
    ),
    "table": networks.token_table(SYMBOLS - TOKENS, TOKENS, LENGTH, TOKENS, order=1),
}


def parameters(network):
    leaves, structure = jax.tree.flatten(network.init(KEY))
    noise = [
        0.1 * jax.random.normal(jax.random.fold_in(KEY, i), x.shape) for i, x in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, [x + y for x, y in zip(leaves, noise, strict=True)])


class Speaker:
    """Compiled once for each network."""

    def __init__(self, network):
        self.network, self.params = network, parameters(network)
        stop = dict(max_length=LENGTH, stop=STOP)

        def sample(params, key, temperature, prefix, num_kept, limit):
            given = dict(prefix=prefix, num_kept=num_kept, limit=limit)
            return sampling.sample(
                network, params, PROMPT, key, temperature=temperature, **given, **stop
            )

        self._sample = jax.jit(sample)
        self.log_prob = jax.jit(
            lambda response, temperature: reading.law(
                network, self.params, PROMPT, response, temperature
            )[:2]
        )

    def sample(self, key=KEY, temperature=1.0, prefix=None, num_kept=None, limit=None):
        prefix = jnp.zeros((2, 4, LENGTH), jnp.int32) if prefix is None else prefix
        num_kept = jnp.zeros((2, 4), jnp.int32) if num_kept is None else num_kept
        limit = jnp.full((2, 4), LENGTH) if limit is None else limit
        return self._sample(self.params, key, temperature, prefix, num_kept, limit)


@pytest.fixture(scope="module", params=NETWORKS)
def speaker(request):
    return Speaker(NETWORKS[request.param])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_log_probs_are_those_of_one_pass(speaker, temperature):
    found = speaker.sample(temperature=temperature)
    log_prob, entropy = speaker.log_prob(found.response, temperature)
    np.testing.assert_allclose(found.log_prob, jnp.where(found.live, log_prob, 0), atol=1e-5)
    np.testing.assert_allclose(found.entropy, jnp.where(found.live, entropy, 0), atol=1e-5)


def test_a_response_ends_with_its_stop_token(speaker):
    ends = set()
    for seed in range(4):
        found = jax.tree.map(np.asarray, speaker.sample(jax.random.key(seed)))
        for response, live in zip(
            found.response.reshape(-1, LENGTH), found.live.reshape(-1, LENGTH), strict=True
        ):
            stops = np.flatnonzero(response == STOP)
            end = stops[0] + 1 if len(stops) else LENGTH
            np.testing.assert_array_equal(live, np.arange(LENGTH) < end)
            assert (response[end:] == STOP).all()
            ends.add(end)
        np.testing.assert_array_equal(found.mask, found.live)
    assert len(ends) >= 3, "ends of many kinds are what this is about"


def test_a_limit_ends_a_response_too(speaker):
    limit = jnp.arange(8).reshape(2, 4) % (LENGTH + 1)
    found, free = speaker.sample(limit=limit), speaker.sample()
    np.testing.assert_array_equal(found.live, free.live & (jnp.arange(LENGTH) < limit[..., None]))
    np.testing.assert_array_equal(found.response[found.live], free.response[found.live])


def test_given_tokens_stay_and_are_not_in_the_mask(speaker):
    first = speaker.sample()
    num_kept = jnp.arange(8).reshape(2, 4) % (LENGTH + 1)
    found = speaker.sample(jax.random.key(5), prefix=first.response, num_kept=num_kept)
    given = jnp.arange(LENGTH) < num_kept[..., None]
    kept = given & first.live
    np.testing.assert_array_equal(found.response[kept], first.response[kept])
    np.testing.assert_array_equal(found.live & given, kept)
    np.testing.assert_array_equal(found.mask, found.live & ~given)
    log_prob, _ = speaker.log_prob(found.response, 1.0)
    np.testing.assert_allclose(found.log_prob, jnp.where(found.live, log_prob, 0), atol=1e-5)
    assert (found.response != first.response).any()


def test_without_chance_every_token_is_the_likeliest(speaker):
    found = speaker.sample(temperature=0.0)
    likeliest = speaker.network.apply(speaker.params, PROMPT, found.response).argmax(-1)
    np.testing.assert_array_equal(found.response[found.live], likeliest[found.live])
    assert not np.any(found.log_prob) and not np.any(found.entropy)
    again = speaker.sample(jax.random.key(9), temperature=0.0)
    np.testing.assert_array_equal(found.response, again.response)


def test_frequencies_are_the_probabilities():
    """Of all nine responses of two tokens, at a temperature of a half."""
    network, length, num, temperature = NETWORKS["table"], 2, 20_000, 0.5
    params = parameters(network)
    prompt = jnp.full((num, 1), TOKENS)
    found = sampling.sample(
        network, params, prompt, KEY, max_length=length, temperature=temperature
    )
    every = jnp.stack(jnp.meshgrid(*[jnp.arange(TOKENS)] * length, indexing="ij"), -1)
    every = every.reshape(-1, length)
    log_prob = reading.law(network, params, prompt[: len(every)], every, temperature).log_prob
    expected = np.exp(tokens.response_sum(log_prob, jnp.ones_like(every)))
    np.testing.assert_allclose(expected.sum(), 1, rtol=1e-5)
    index = (found.response * jnp.array([TOKENS, 1])).sum(-1)
    frequency = np.bincount(index, minlength=len(every)) / num
    np.testing.assert_allclose(frequency, expected, atol=4 * np.sqrt(0.25 / num))


@pytest.mark.parametrize(("size", "block"), [(10, 128), (10, 4), (12, 4), (1, 1)])
def test_a_token_is_where_the_probabilities_pass_the_number(size, block):
    """Each token's share of evenly spaced numbers is its probability, blocks or not."""
    draw = jax.jit(lambda *x: sampling._draw(*x, block=block))
    num, output = 20_000, 3 * jax.random.normal(KEY, (size,))
    output = output.at[jnp.array([0, size - 1])].set(-jnp.inf if size > 1 else 0.0)
    rows, chance = jnp.broadcast_to(output, (num, size)), (jnp.arange(num) + 0.5) / num
    for temperature in (1.0, 0.5):
        share = np.bincount(draw(chance, rows, temperature), minlength=size) / num
        expected = jax.nn.softmax(output / temperature)
        np.testing.assert_allclose(share, expected, atol=2 / num + 1e-5)
        assert not share[expected == 0].any()
    np.testing.assert_array_equal(draw(chance, rows, 0.0), output.argmax())
    ends = jnp.array([0.0, 1 - 2.0**-23])
    first, last = draw(ends, rows[:2], 1.0)
    possible = np.flatnonzero(np.isfinite(output))
    assert (first, last) == (possible[0], possible[-1])


def test_of_equals_the_first_is_taken_without_chance():
    output = jnp.zeros((2, 9)).at[:, jnp.array([3, 5, 8])].set(2.0)
    for block in (2, 4, 128):
        found = sampling._draw(jnp.array([0.3, 0.99]), output, 0.0, block=block)
        np.testing.assert_array_equal(found, 3)


def test_token_law_by_hand():
    output = jnp.log(jnp.array([0.5, 0.25, 0.25]))
    law = reading.token_law(output, jnp.int32(1))
    np.testing.assert_allclose(law[:2], np.log([0.25, 2**1.5]), rtol=1e-6)
    assert not law.likeliest
    np.testing.assert_allclose(law.mean_output, np.log(0.5 * 0.25 * 0.25) / 3, rtol=1e-6)
    law = reading.token_law(output, jnp.int32(0), 0.5)  # squares: 4 : 1 : 1
    np.testing.assert_allclose(law.log_prob, np.log(2 / 3), rtol=1e-6)
    assert law.likeliest
    batch = jax.jit(jax.vmap(reading.token_law))(
        jnp.stack([output, output]), jnp.array([1, 0]), jnp.array([1.0, 0.5])
    )
    np.testing.assert_allclose(batch[0], np.log([0.25, 2 / 3]), rtol=1e-6)
    grad = jax.grad(lambda output: reading.token_law(output, jnp.int32(1)).log_prob)(output)
    np.testing.assert_allclose(grad, [-0.5, 0.75, -0.25], rtol=1e-6)


def test_samples_are_detached_and_may_be_mapped(speaker):
    def total(params):
        return speaker._sample(
            params,
            KEY,
            1.0,
            jnp.zeros((2, 4, LENGTH), int),
            jnp.zeros((2, 4), int),
            jnp.full((2, 4), LENGTH),
        ).log_prob.sum()

    assert not any(np.any(leaf) for leaf in jax.tree.leaves(jax.grad(total)(speaker.params)))
    keys = jax.random.split(KEY, 2)
    together = jax.vmap(speaker.sample)(keys)
    alone = speaker.sample(keys[1])
    np.testing.assert_array_equal(together.response[1], alone.response)


def test_messages():
    network = NETWORKS["table"]
    params = network.init(KEY)
    with pytest.raises(ValueError, match="prefix and num_kept go together"):
        sampling.sample(network, params, PROMPT, KEY, max_length=5, num_kept=jnp.zeros((2, 4)))
    with pytest.raises(AssertionError, match=r"limit must be .* one number a prompt"):
        sampling.sample(network, params, PROMPT, KEY, max_length=5, limit=jnp.zeros(4))
    with pytest.raises(AssertionError, match=r"cuts must be \[..., C\]"):
        sampling.prefix_values(
            network,
            params,
            None,
            PROMPT,
            jnp.zeros((2, 4, 5), int),
            jnp.zeros(3),
            KEY,
            num_samples=2,
        )


# Values of prefixes -------------------------------------------------------------------------


def test_values_of_a_lock_under_a_uniform_policy():
    """4^-c of the c critical tokens that are still to come, as long as all so far are right."""
    lock = token_lock(num_prompts=2)
    network = networks.token_table(2, 4, 12, 4)
    cuts = jnp.broadcast_to(jnp.array([0, 2, 3, 7, 11, 12]), (2, 6))
    right = lock.accepted[:, 0]
    wrong = right.at[1, 6].set((right[1, 6] + 1) % 4)
    value = jax.jit(
        lambda key: sampling.prefix_values(
            network,
            network.init(KEY),
            lock.score,
            lock.prompts(),
            wrong,
            cuts,
            key,
            num_samples=4000,
        )
    )(KEY)
    expected = np.array([[1 / 64, 1 / 64, 1 / 16, 1 / 4, 1, 1], [1 / 64, 1 / 64, 1 / 16, 0, 0, 0]])
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert (np.abs(value - expected) <= 4 * error).all()


def test_differences_of_values_add_up(speaker):
    """Exactly, for any number of samples: the last value is the score."""
    found = speaker.sample()
    score = lambda key, prompt, response, live: jnp.where(live, response + 1.0, 0.0).sum()
    cuts = jnp.broadcast_to(jnp.arange(LENGTH + 1), (2, 4, LENGTH + 1))
    value = jax.jit(
        lambda: sampling.prefix_values(
            speaker.network,
            speaker.params,
            score,
            PROMPT,
            found.response,
            cuts,
            KEY,
            num_samples=3,
            stop=STOP,
        )
    )()
    final = sampling.score_responses(score, PROMPT, found, KEY)
    np.testing.assert_allclose(jnp.diff(value).sum(-1), final - value[..., 0], rtol=1e-5)
    over = jnp.arange(LENGTH + 1) >= found.live.sum(-1, keepdims=True)
    np.testing.assert_allclose(
        value[over], jnp.broadcast_to(final[..., None], over.shape)[over], rtol=1e-6
    )


# Windows ------------------------------------------------------------------------------------


def test_windows(speaker):
    """One long window is a plain sample; short ones go on where the last one ended."""
    network, params, stop = speaker.network, speaker.params, STOP

    def advance(slots, key, num_tokens):
        return sampling.advance(network, params, slots, key, num_tokens=num_tokens, stop=stop)

    slots = sampling.open_slots(PROMPT, max_length=LENGTH, stop=stop)
    step = jax.jit(advance, static_argnums=2)
    at_once = step(slots, KEY, LENGTH)
    for name, expected in speaker.sample()._asdict().items():
        np.testing.assert_allclose(getattr(at_once.responses, name), expected, atol=1e-5)
    assert at_once.finished.all()

    sampled = jnp.zeros((2, 4, LENGTH), int)
    for i in range(3):
        before, slots = slots, step(slots, jax.random.key(i), 2)
        old, new = before.responses, slots.responses
        np.testing.assert_array_equal(new.mask, new.live & ~old.live)
        np.testing.assert_array_equal(new.response[old.live], old.response[old.live])
        np.testing.assert_array_equal(new.log_prob[old.live], old.log_prob[old.live])
        assert not new.mask[before.finished].any()
        stopped = ((new.response == STOP) & new.live).any(-1)
        np.testing.assert_array_equal(slots.finished, stopped | new.live.all(-1))
        sampled = sampled + new.mask
        if i == 0:
            assert not slots.finished.all() and slots.finished.any()
    assert slots.finished.all()
    np.testing.assert_array_equal(sampled, slots.responses.live)
    log_prob, _ = speaker.log_prob(slots.responses.response, 1.0)
    live = slots.responses.live
    np.testing.assert_allclose(slots.responses.log_prob, jnp.where(live, log_prob, 0), atol=1e-5)


def test_only_finished_slots_are_refilled():
    network = NETWORKS["table"]
    slots = sampling.open_slots(PROMPT[0], max_length=LENGTH)
    limit = jnp.array([2, LENGTH, LENGTH, 1])
    slots = sampling.advance(network, network.init(KEY), slots, KEY, num_tokens=2, limit=limit)
    np.testing.assert_array_equal(slots.finished, [True, False, False, True])
    np.testing.assert_array_equal(slots.responses.live.sum(-1), [2, 2, 2, 1])
    fresh = sampling.refill(slots, PROMPT[1])
    np.testing.assert_array_equal(fresh.responses.live.sum(-1), [0, 2, 2, 0])
    np.testing.assert_array_equal(fresh.prompt[1:3], PROMPT[0, 1:3])
    np.testing.assert_array_equal(fresh.prompt[jnp.array([0, 3])], PROMPT[1, jnp.array([0, 3])])
    assert not fresh.finished.any()

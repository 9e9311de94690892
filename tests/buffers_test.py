from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import buffers

pytestmark = pytest.mark.usefixtures("strict")

NUM_ENVS = 2
EXAMPLE = {"obs": jnp.zeros(3), "a": jnp.int32(0), "done": jnp.bool_(False)}
add = jax.jit(buffers.add)
sample = jax.jit(buffers.sample, static_argnames="batch_size")
draw = jax.jit(buffers.draw, static_argnames=("batch_size", "length"))
read = jax.jit(buffers.read, static_argnames="length")
below = jax.jit(buffers._below)


def transition(time):
    """Different for every time and environment, and never like what an empty slot holds."""
    label = 1 + 10 * time + np.arange(NUM_ENVS, dtype=np.int32)
    obs = np.stack([label, 2 * label, 3 * label], axis=-1).astype(np.float32)
    return {"obs": obs, "a": label, "done": label > 0}


def filled(num_added, capacity):
    replay = buffers.init(EXAMPLE, NUM_ENVS, capacity)
    for time in range(num_added):
        replay = add(replay, transition(time))
    return replay


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 11), st.sampled_from([1, 3, 4]))
def test_holds_exactly_the_last_ones(num_added, capacity):
    replay = filled(num_added, capacity)
    model = deque(range(num_added), maxlen=capacity)
    np.testing.assert_array_equal(replay.size, [len(model)] * NUM_ENVS)
    for env in range(NUM_ENVS):
        kept = sorted(np.asarray(replay.data["a"][env, : replay.size[env]]))
        assert kept == [int(transition(time)["a"][env]) for time in model]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 11), st.sampled_from([1, 3, 4]), st.integers(0, 2**31 - 1))
def test_samples_what_is_there_whole_and_nothing_else(num_added, capacity, seed):
    batch = sample(filled(num_added, capacity), jax.random.key(seed), batch_size=64)
    held = [transition(time) for time in deque(range(num_added), maxlen=capacity)]
    for env in range(NUM_ENVS):
        assert set(np.asarray(batch["a"][env])) == {int(x["a"][env]) for x in held}
    np.testing.assert_array_equal(batch["obs"], np.asarray(batch["a"])[..., None] * [1, 2, 3])
    assert batch["done"].all()


def test_samples_evenly():
    batch = sample(filled(5, 4), jax.random.key(0), batch_size=4000)
    for env in range(NUM_ENVS):
        _, counts = np.unique(batch["a"][env], return_counts=True)
        assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75))
    assert np.any(batch["a"][0] // 10 != batch["a"][1] // 10)  # environments draw apart


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
@settings(deadline=None, max_examples=50)
def test_rows_are_shares_of_all_bits(bits, num):
    """Exact where a product of 64 bits is not at hand."""
    assert int(below(jnp.uint32(bits), jnp.int32(num))) == num * bits >> 32


def test_environments_may_fill_apart():
    """Counters are per environment, so a program may hold rings that stand at different rows."""
    one, other = filled(1, 4), filled(6, 4)
    mixed = jax.tree.map(lambda x, y: jnp.stack([x[0], y[1]]), one, other)
    mixed = add(mixed, transition(9))
    np.testing.assert_array_equal(mixed.size, [2, 4])
    np.testing.assert_array_equal(mixed.cursor, [2, 3])
    assert sorted(np.asarray(mixed.data["a"][1])) == [32, 42, 52, 92]


def test_a_scan_of_adds_is_the_adds():
    rollout = jax.tree.map(lambda *x: np.stack(x), *map(transition, range(6)))
    empty = buffers.init(EXAMPLE, NUM_ENVS, 4)
    scanned, _ = jax.lax.scan(lambda replay, x: (buffers.add(replay, x), None), empty, rollout)
    jax.tree.map(np.testing.assert_array_equal, scanned, filled(6, 4))


@pytest.mark.parametrize("num_before", (0, 3, 7))
def test_many_at_once_are_as_if_one_after_the_other(num_before):
    before = filled(num_before, 5)
    several = jax.tree.map(lambda *x: np.stack(x, 1), *map(transition, range(20, 24)))
    expected = before
    for time in range(20, 24):
        expected = add(expected, transition(time))
    jax.tree.map(np.testing.assert_array_equal, buffers.extend(before, several), expected)


def test_more_than_fit_are_refused():
    with pytest.raises(ValueError, match="4 transitions do not fit into 3 rows"):
        several = jax.tree.map(lambda *x: np.stack(x, 1), *map(transition, range(4)))
        buffers.extend(filled(0, 3), several)


def test_vmap_over_runs():
    runs = jax.tree.map(lambda *x: jnp.stack(x), filled(3, 4), filled(5, 4))
    new = jax.tree.map(lambda x: np.stack([x, x]), transition(9))
    added = jax.jit(jax.vmap(buffers.add))(runs, new)
    keys = jax.random.split(jax.random.key(0))
    drawn = jax.jit(jax.vmap(partial(buffers.sample, batch_size=8)))(added, keys)
    for run, num_added in enumerate((3, 5)):
        alone = add(filled(num_added, 4), transition(9))
        jax.tree.map(lambda x, y, i=run: np.testing.assert_array_equal(x[i], y), added, alone)
        batch = sample(alone, keys[run], batch_size=8)
        jax.tree.map(lambda x, y, i=run: np.testing.assert_array_equal(x[i], y), drawn, batch)


def test_every_leaf_leads_with_the_environments_and_survives_the_tree():
    replay = filled(5, 4)
    assert {x.shape[0] for x in jax.tree.leaves(replay)} == {NUM_ENVS}
    assert {x.dtype for x in (replay.cursor, replay.size)} == {jnp.dtype("int32")}
    leaves, structure = jax.tree.flatten(replay)
    again = jax.tree.unflatten(structure, [jnp.asarray(np.asarray(x)) for x in leaves])
    assert not any(x.weak_type for x in jax.tree.leaves(replay))
    key = jax.random.key(0)
    jax.tree.map(
        np.testing.assert_array_equal,
        sample(add(replay, transition(9)), key, batch_size=8),
        sample(add(again, transition(9)), key, batch_size=8),
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(3, 11), st.sampled_from([3, 4]), st.integers(0, 2**31 - 1))
def test_windows_never_straddle_the_head(num_added, capacity, seed):
    """Steps of a window follow each other in time, and every whole window is drawn."""
    replay = filled(num_added, capacity)
    row = draw(replay, jax.random.key(seed), batch_size=64, length=3)
    window = np.asarray(read(replay, row, length=3)["a"])
    assert window.shape == (NUM_ENVS, 64, 3)
    assert np.all(np.diff(window, axis=-1) == 10)
    held = list(deque(range(num_added), maxlen=capacity))[:-2]
    assert set(window[0, :, 0]) == {int(transition(time)["a"][0]) for time in held}


def test_windows_of_too_few_rows_end_in_what_is_not_valid():
    replay = filled(2, 4)
    row = draw(replay, jax.random.key(0), batch_size=8, length=3)
    window = read(replay, row, length=3)
    assert np.all(np.asarray(window["done"]) == [True, True, False])


def test_data_that_are_there_already():
    data = {"at": np.arange(1, 8), "valid": np.ones(7, bool)}
    replay = buffers.from_rows(data, 2)
    np.testing.assert_array_equal(replay.data["at"], [[1, 2, 3, 4], [5, 6, 7, 0]])
    np.testing.assert_array_equal(replay.data["valid"][1], [True, True, True, False])
    np.testing.assert_array_equal(replay.size, [4, 4])
    row = draw(replay, jax.random.key(0), batch_size=64, length=3)
    window = np.asarray(read(replay, row, length=3)["at"])
    assert {tuple(x) for x in window[0]} == {(1, 2, 3), (2, 3, 4)}
    assert {tuple(x) for x in window[1]} == {(5, 6, 7), (6, 7, 0)}
    with pytest.raises(ValueError, match="num_envs=8 must be within 1 and 7"):
        buffers.from_rows(data, 8)


def test_more_may_be_added_to_data():
    """Beyond their own rows first, then over the oldest."""
    replay = buffers.from_rows({"at": np.arange(1, 7)}, 2, capacity=4)
    for time in (10, 20, 30):
        replay = buffers.add(replay, {"at": jnp.full(2, time)})
    np.testing.assert_array_equal(replay.data["at"], [[20, 30, 3, 10], [20, 30, 6, 10]])
    np.testing.assert_array_equal(replay.size, [4, 4])
    np.testing.assert_array_equal(replay.cursor, [2, 2])


def test_gradients_flow_through_what_is_drawn():
    replay = buffers.init(jnp.zeros(()), NUM_ENVS, 4)

    def loss(x):
        return buffers.sample(buffers.add(replay, x), jax.random.key(0), 8).sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(jnp.ones(NUM_ENVS)), [8, 8])


def test_shapes_are_enough_to_begin_with():
    shapes = jax.eval_shape(lambda: EXAMPLE)
    jax.tree.map(
        np.testing.assert_array_equal, buffers.init(shapes, 2, 3), buffers.init(EXAMPLE, 2, 3)
    )


def test_messages():
    with pytest.raises(ValueError, match="capacity must be at least 1, not 0"):
        buffers.init(EXAMPLE, 2, 0)
    with pytest.raises(ValueError, match="num_envs must be at least 1, not 0"):
        buffers.init(EXAMPLE, 0, 2)
    replay = filled(0, 4)
    with pytest.raises(AssertionError, match=r"transition\['obs'\] must be \[num_envs, ...\]"):
        buffers.add(replay, transition(0) | {"obs": jnp.ones(3)})
    with pytest.raises(AssertionError, match=r"transition\['a'\] must be of the example's dtype"):
        buffers.add(replay, transition(0) | {"a": jnp.ones(2)})


def test_sharding_moves_nothing(on_four_devices):
    """On four devices, adding and sampling need no word between them, and change nothing."""
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
        from rlax_pref import buffers

        def turn(replay, new, key):
            replay = buffers.add(replay, new)
            return replay, buffers.sample(replay, key, 4)

        mesh = jax.make_mesh((4,), ("env",), axis_types=(AxisType.Auto,))
        everywhere, by_env = NamedSharding(mesh, P()), NamedSharding(mesh, P("env"))
        replay = buffers.init(jnp.zeros(3), num_envs=8, capacity=5)
        new, key = jnp.arange(24.0).reshape(8, 3), jax.random.key(0)
        apart = jax.jit(turn, in_shardings=(by_env, by_env, everywhere), out_shardings=by_env)
        text = apart.lower(replay, new, key).compile().as_text()
        for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
            assert word not in text, word
        arguments = jax.device_put((replay, new, key), (by_env, by_env, everywhere))
        one = jax.jit(turn)(replay, new, key)
        jax.tree.map(np.testing.assert_array_equal, apart(*arguments), one)
    """
    on_four_devices(program)

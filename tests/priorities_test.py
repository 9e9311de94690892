from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import buffers, priorities

pytestmark = pytest.mark.usefixtures("strict")

NUM_ENVS, CAPACITY = 2, 5
add = jax.jit(priorities.add, static_argnames="length")
write = jax.jit(buffers.add)
update = jax.jit(priorities.update)
sample = jax.jit(priorities.sample, static_argnames="batch_size")


def leaves(order):
    width = order.tree.shape[-1] // 2
    return np.asarray(order.tree[:, width : width + CAPACITY])


def filled(num_added, length=1):
    order = priorities.init(NUM_ENVS, CAPACITY)
    replay = buffers.init(jnp.zeros(()), NUM_ENVS, CAPACITY)
    for time in range(num_added):
        order = add(order, replay, length=length)
        replay = write(replay, jnp.full(NUM_ENVS, 1.0 + time))
    return order, replay


def test_lap_golden():
    error = jnp.array([0.5, -2.0, 8.0])
    priority = priorities.lap(error)
    np.testing.assert_allclose(priority, [1.0, 1.319508, 2.297397], rtol=1e-5)
    order = update(priorities.init(1, 3), jnp.arange(3)[None], priority[None])
    drawn = sample(order, jax.random.key(0), batch_size=3000)
    expected = np.array([0.216595, 0.285799, 0.497605])
    share = np.bincount(drawn.row[0], minlength=3) / 3000
    np.testing.assert_allclose(share, expected, atol=2 / 3000)  # stratified: almost exact
    np.testing.assert_allclose(drawn.probability[0], expected[drawn.row[0]], rtol=1e-5)


def test_proportional_and_its_weights():
    priority = priorities.proportional(jnp.array([4.0, -1.0, 0.0]), 0.5, 1e-6)
    np.testing.assert_allclose(priority, [2.0, 1.0, 1e-3], rtol=1e-3)
    drawn = priorities.Drawn(jnp.array([[0, 1]]), jnp.array([[0.8, 0.2]]))
    weight = priorities.importance_weight(drawn, jnp.array([2]), 0.5)
    np.testing.assert_allclose(weight, [[0.5, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(priorities.importance_weight(drawn, jnp.array([2]), 0.0), 1.0)


def test_importance_weights_undo_the_bias():
    """Any mean over what is drawn, weighted in full, is the mean over all rows."""
    x, priority = np.array([1.0, -2.0, 5.0]), jnp.array([[0.2, 3.0, 1.0]])
    order = update(priorities.init(1, 3), jnp.arange(3)[None], priority)
    drawn = sample(order, jax.random.key(1), batch_size=3000)
    weight = priorities.importance_weight(drawn, jnp.array([3]), 1.0)
    mean = (weight * x[np.asarray(drawn.row)]).sum() / weight.sum()
    np.testing.assert_allclose(mean, x.mean(), atol=0.02)


rows = st.lists(st.integers(0, CAPACITY - 1), min_size=3, max_size=3)
numbers = st.lists(st.floats(0, 10, width=32), min_size=3, max_size=3)


@settings(deadline=None, max_examples=30)
@given(rows, numbers, st.integers(0, 9))
def test_definition(row, number, seed):
    """The tree is the sums of its leaves, and what has no priority is never drawn."""
    number = [dict(zip(row, number, strict=True))[r] for r in row]  # a row has one priority
    order, _ = filled(3)
    order = update(order, jnp.tile(jnp.array(row), (2, 1)), jnp.tile(jnp.array(number), (2, 1)))
    expected = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    expected[row] = number
    np.testing.assert_allclose(leaves(order), [expected] * 2, rtol=1e-6)
    np.testing.assert_allclose(order.tree[:, 1], expected.sum(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(order.largest, max(1.0, *number))
    if expected.sum() > 0:
        drawn = sample(order, jax.random.key(seed), batch_size=64)
        assert np.all(expected[drawn.row] > 0)
        np.testing.assert_allclose(
            drawn.probability, expected[drawn.row] / expected.sum(), rtol=1e-4
        )


@pytest.mark.parametrize("length", (1, 3))
@pytest.mark.parametrize("num_added", (0, 2, 3, 4, 5, 8))
def test_windows_that_are_drawn_are_whole(num_added, length):
    """Exactly the rows whose windows hold rows in the order of time have a priority."""
    order, replay = filled(num_added, length)
    window = buffers.read(replay, jnp.tile(jnp.arange(CAPACITY), (NUM_ENVS, 1)), length)
    in_order = np.all(np.diff(window, axis=-1) == 1, axis=-1) & (np.asarray(window)[..., 0] > 0)
    np.testing.assert_array_equal(leaves(order) > 0, in_order)


def test_new_rows_get_the_largest_priority():
    order, replay = filled(2)
    order = update(order, jnp.array([[0], [1]]), jnp.array([[7.0], [0.5]]))
    order = add(order, replay, length=1)
    np.testing.assert_allclose(leaves(order)[:, 2], [7.0, 1.0])
    order = update(order, jnp.array([[0], [1]]), jnp.array([[0.1], [0.5]]))
    np.testing.assert_allclose(order.largest, [7.0, 1.0])


@pytest.mark.parametrize("length", [1, 3])
def test_data_that_are_there_already(length):
    """Every whole window alike, and nothing else."""
    replay = buffers.from_rows(jnp.arange(8), 2, capacity=CAPACITY)
    order = priorities.from_rows(replay, length)
    whole = 4 - length + 1
    np.testing.assert_array_equal(leaves(order), [[1] * whole + [0] * (CAPACITY - whole)] * 2)
    np.testing.assert_array_equal(order.tree[:, 1], [whole, whole])


def test_nothing_to_draw():
    drawn = sample(priorities.init(NUM_ENVS, CAPACITY), jax.random.key(0), batch_size=4)
    assert not np.any(drawn.row) and not np.any(drawn.probability)


def test_vmap_and_no_gradient():
    order, _ = filled(3)
    two = jax.tree.map(lambda x: jnp.stack([x, x]), order)
    keys = jax.random.split(jax.random.key(0))
    drawn = jax.jit(jax.vmap(partial(priorities.sample, batch_size=4)))(two, keys)
    alone = sample(order, keys[1], batch_size=4)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[1], y), drawn, alone)
    row = jnp.array([[0], [1]])
    slope = jax.grad(lambda p: priorities.update(order, row, p).tree.sum())(jnp.ones((2, 1)))
    assert not np.any(slope)


def test_messages():
    with pytest.raises(ValueError, match="capacity must be at least 1, not 0"):
        priorities.init(1, 0)
    with pytest.raises(AssertionError, match="priority must be"):
        priorities.update(priorities.init(2, 3), jnp.zeros((2, 1), int), jnp.ones((2, 2)))


def test_sharding_gathers_nothing(on_four_devices):
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
        from rlax_pref import buffers, priorities

        def turn(replay, order, new, key):
            order = priorities.add(order, replay, length=2)
            replay = buffers.add(replay, new)
            drawn = priorities.sample(order, key, 4)
            order = priorities.update(order, drawn.row, 1.0 + drawn.probability)
            return replay, order, buffers.read(replay, drawn.row, length=2)

        mesh = jax.make_mesh((4,), ("env",), axis_types=(AxisType.Auto,))
        everywhere, by_env = NamedSharding(mesh, P()), NamedSharding(mesh, P("env"))
        replay = buffers.init(jnp.zeros(3), num_envs=8, capacity=5)
        replay = buffers.add(replay, jnp.ones((8, 3)))
        order = priorities.init(8, 5)
        new, key = jnp.arange(24.0).reshape(8, 3), jax.random.key(0)
        where = (by_env, by_env, by_env, everywhere)
        apart = jax.jit(turn, in_shardings=where, out_shardings=by_env)
        text = apart.lower(replay, order, new, key).compile().as_text()
        for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
            assert word not in text, word
        arguments = jax.device_put((replay, order, new, key), where)
        jax.tree.map(np.testing.assert_array_equal, apart(*arguments), jax.jit(turn)(*arguments))
    """
    on_four_devices(program)

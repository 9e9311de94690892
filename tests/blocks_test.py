"""Work on a few rows at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref._blocks import over_blocks

X = jnp.arange(14.0).reshape(7, 2)


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (7, 7), (9, 7)])
def test_each_row_is_taken_once(rows, size):
    """In blocks of one size, of which the last ones may be filled up with zeros."""

    def block(total, given):
        assert given.shape == (size, 2)
        return total + given.sum(), given + 1

    total, found = over_blocks(block, 0.0, X, rows)
    np.testing.assert_array_equal(found, X + 1)
    np.testing.assert_allclose(total, X.sum())
    each = jax.vmap(lambda x: over_blocks(block, 0.0, x, rows)[1])(X[None])
    np.testing.assert_array_equal(each[0], X + 1)


def test_gradients_flow():
    squares = lambda x: over_blocks(lambda _, rows: (None, rows**2), None, x, 3)[1].sum()
    np.testing.assert_allclose(jax.grad(squares)(X), 2 * X)


def test_rows_stay_on_their_devices(on_four_devices):
    """A row's device makes what is made of it: nothing is sent."""
    program = """
        import jax
        from jax.sharding import AxisType, NamedSharding, PartitionSpec
        from rlax_pref._blocks import over_blocks

        mesh = jax.make_mesh((2,), ("row",), axis_types=(AxisType.Auto,))
        where = NamedSharding(mesh, PartitionSpec("row"))
        rows = jax.ShapeDtypeStruct((8, 2), "float32", sharding=where)
        run = jax.jit(lambda x: over_blocks(lambda _, x: (None, x**2), None, x, 4)[1])
        text = run.lower(rows).compile().as_text()
        for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
            assert word not in text, word
    """
    on_four_devices(program)

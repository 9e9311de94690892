"""What environments of other packages need before they can be scanned over."""

import jax
import jax.numpy as jnp

from rlax_pref.types import PyTree


def match_types(tree: PyTree, example: PyTree) -> PyTree:
    """Gives every leaf the dtype of the example's, and none a weak type, for `jax.lax.scan`.

    Args:
      tree: a state of the environment, whose leaves may be plain numbers.
      example: a state of the same structure, of arrays or `jax.ShapeDtypeStruct`s.
    """

    def match(leaf, like):
        dtype = jnp.result_type(like)
        if jnp.issubdtype(dtype, jax.dtypes.prng_key):
            return leaf
        return jnp.asarray(leaf, dtype)

    return jax.tree.map(match, tree, example)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.networks._dense import matmul

KEY = jax.random.key(0)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_products_of_layers_have_the_derivatives_of_products(lead):
    """In both directions, twice, and for several networks at once."""
    x, w = jax.random.normal(KEY, (*lead, 4)), jax.random.normal(jax.random.key(1), (4, 5))
    ours = lambda x, w: jnp.tanh(matmul(x, w)).sum()
    plain = lambda x, w: jnp.tanh(x @ w).sum()
    many = jnp.stack([w, 2.0 * w])
    for of in (
        lambda f: jax.jit(jax.grad(f, (0, 1)))(x, w),
        lambda f: jax.jvp(f, (x, w), (x + 1.0, w - 1.0)),
        lambda f: jax.hessian(f, 1)(x, w),
        lambda f: jax.vmap(jax.grad(f, 1), (None, 0))(x, many),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), of(ours), of(plain))

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.policies import dpo, mapl

X, Y = jnp.array([1.0, -1e4, 0.5]), jnp.array([-1.0, 1e4, 0.5])


def test_definition():
    z = 0.1 * (np.float64(X) - np.float64(Y)) - 0.2
    found = jax.jit(mapl)(X, Y, 0.1, margin=0.2)
    np.testing.assert_allclose(found, np.logaddexp(0, -z), rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(mapl)(X, Y), dpo(X, Y), rtol=1e-6)
    assert np.all(np.isfinite(jax.grad(lambda x: mapl(x, Y).sum())(X)))


def test_equal_prompts_say_nothing():
    np.testing.assert_allclose(mapl(X, X), np.log(2.0), rtol=1e-6)


def test_a_swapped_pair_is_the_same_pair():
    p_first = jnp.array([0.0, 0.3, 1.0])
    found = mapl(X, Y, 0.1, margin=0.2, p_first=p_first)
    np.testing.assert_allclose(mapl(Y, X, 0.1, margin=0.2, p_first=1 - p_first), found, rtol=1e-6)

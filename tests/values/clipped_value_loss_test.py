import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.values import clipped_value_loss

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(clipped_value_loss)
slope = jax.jit(jax.grad(lambda *x: clipped_value_loss(*x).sum(), argnums=(0, 1, 2)))
number = st.floats(-10.0, 10.0, width=32)


def test_golden():
    """Half-way to the target, which is further than allowed: no gain in going on."""
    v, v_old, target = jnp.array([1.0]), jnp.array([0.5]), jnp.array([2.0])
    np.testing.assert_allclose(jitted(v, v_old, target, 0.2), [0.845], rtol=1e-6)
    assert slope(v, v_old, target, 0.2)[0] == 0


@settings(deadline=None, max_examples=50)
@given(number, number, number, st.floats(0.0, 5.0, width=32))
def test_definition(v, v_old, target, epsilon):
    v_clip = min(max(v, v_old - epsilon), v_old + epsilon)
    expected = 0.5 * max((v - target) ** 2, (v_clip - target) ** 2)
    loss = jitted(*(np.full(2, x, np.float32) for x in (v, v_old, target)), epsilon)
    np.testing.assert_allclose(loss, [expected] * 2, rtol=1e-4, atol=1e-4)


def test_is_the_squared_error_where_nothing_has_moved_far():
    v, v_old, target = jnp.array([1.0, 0.6, 0.5]), jnp.full(3, 0.5), jnp.array([-2.0, 0.9, 7.0])
    error = v - target
    for epsilon in (0.6, jnp.inf):
        np.testing.assert_allclose(jitted(v, v_old, target, epsilon), error**2 / 2, rtol=1e-6)
        np.testing.assert_allclose(slope(v, v_old, target, epsilon)[0], error, rtol=1e-6)


def test_what_went_the_wrong_way_is_pulled_back():
    """Clipping forgives no mistake: away from the target the full gradient stays."""
    v, v_old, target = jnp.array([-1.0]), jnp.array([0.5]), jnp.array([2.0])
    np.testing.assert_allclose(slope(v, v_old, target, 0.2)[0], [-3.0])


def test_only_the_present_values_learn():
    v, v_old, target = jnp.array([1.0, 0.6]), jnp.full(2, 0.5), jnp.array([-2.0, 0.9])
    _, by_v_old, by_target = slope(v, v_old, target, 0.2)
    assert not np.any(by_v_old) and not np.any(by_target)


def test_vmap():
    x = jax.random.normal(jax.random.key(0), (3, 4, 2))
    alone = jax.vmap(lambda *x: clipped_value_loss(*x, 0.2))(*x)
    np.testing.assert_allclose(jitted(*x, 0.2), alone, rtol=1e-6)


@pytest.mark.parametrize("name", ("v_old", "target"))
def test_messages(name):
    arguments = dict.fromkeys(("v", "v_old", "target"), jnp.ones((3, 3))) | {name: jnp.ones(3)}
    with pytest.raises(AssertionError, match=f"clipped_value_loss: {name} must be"):
        clipped_value_loss(**arguments, epsilon=0.2)

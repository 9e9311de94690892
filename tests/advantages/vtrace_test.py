import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from rlax_pref.advantages import gae, vtrace

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(vtrace)
jitted_gae = jax.jit(gae)
oracle = jax.jit(rlax.vtrace_td_error_and_advantage)


def arrays(shape, low=-10.0, high=10.0):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@st.composite
def windows(draw):
    shape = draw(st.sampled_from(((1, 2), (5, 2))))
    r_t, v_tm1, v_t = (draw(arrays(shape)) for _ in range(3))
    return {
        "r_t": r_t,
        "discount_t": draw(arrays(shape, 0.0, 1.0)),
        "v_tm1": v_tm1,
        "v_t": v_t,
        "rho_tm1": draw(arrays(shape, 0.0, 4.0)),
        "lambda_": draw(arrays(shape, 0.0, 1.0)),
        "truncated_t": draw(hnp.arrays(bool, shape)),
    }


CLIPS = st.sampled_from([(1.0, 1.0), (2.0, 0.5), (0.5, 3.0)])


def definition(r_t, discount_t, v_tm1, v_t, rho_tm1, lambda_, truncated_t, clip_rho, clip_pg_rho):
    """The paper's sum over later TD errors, and its policy gradient from the next target."""
    r_t, discount_t, v_tm1, v_t, rho_tm1, lambda_ = (
        x.astype(np.float64) for x in (r_t, discount_t, v_tm1, v_t, rho_tm1, lambda_)
    )
    trace = discount_t * lambda_ * ~truncated_t * np.minimum(rho_tm1, 1)
    errors, advantage = np.zeros_like(r_t), np.zeros_like(r_t)
    for t in range(len(r_t)):
        for k in range(t, len(r_t)):
            delta = r_t[k] + discount_t[k] * v_t[k] - v_tm1[k]
            errors[t] += np.prod(trace[t:k], axis=0) * np.minimum(rho_tm1[k], clip_rho) * delta
    for t in range(len(r_t)):
        target = v_t[t].copy()
        if t + 1 < len(r_t):
            target += lambda_[t] * ~truncated_t[t] * errors[t + 1]
        q = r_t[t] + discount_t[t] * target
        advantage[t] = np.minimum(rho_tm1[t], clip_pg_rho) * (q - v_tm1[t])
    return errors, advantage


def test_golden():
    r_t, v_tm1, v_t = np.array([[1, 0, 2], [0.5, 1, 0.2], [1, 0.2, 0.4]], np.float32)
    rho_tm1 = np.array([2, 0.5, 1], np.float32)
    out = jitted(r_t, np.full(3, 0.9, np.float32), v_tm1, v_t, rho_tm1)
    np.testing.assert_allclose(out.errors, [1.9058, 0.562, 2.16], rtol=1e-5)
    np.testing.assert_allclose(out.errors + v_tm1, [2.4058, 1.562, 2.36], rtol=1e-5)
    np.testing.assert_allclose(out.pg_advantage, out.errors, rtol=1e-5)
    np.testing.assert_allclose(out.q_estimate, [2.4058, 2.124, 2.36], rtol=1e-5)


@settings(deadline=None, max_examples=50)
@given(windows(), CLIPS)
def test_definition(window, clips):
    clip_rho, clip_pg_rho = clips
    out = jitted(**window, clip_rho=clip_rho, clip_pg_rho=clip_pg_rho)
    errors, advantage = definition(**window, clip_rho=clip_rho, clip_pg_rho=clip_pg_rho)
    np.testing.assert_allclose(out.errors, errors, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(out.pg_advantage, advantage, rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(windows(), CLIPS)
def test_rlax(window, clips):
    """rlax knows no truncation and takes the value after a step from the row that follows."""
    clip_rho, clip_pg_rho = clips
    x = {name: jnp.asarray(y.reshape(len(y), -1)[:, 0]) for name, y in window.items()}
    x["v_t"] = jnp.append(x["v_tm1"][1:], x["v_t"][-1])
    x["truncated_t"] = None
    out = jitted(**x, clip_rho=clip_rho, clip_pg_rho=clip_pg_rho)
    del x["truncated_t"]
    theirs = oracle(**x, clip_rho_threshold=clip_rho, clip_pg_rho_threshold=clip_pg_rho)
    for x, y in zip(out, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(windows())
def test_on_policy_is_gae(window):
    window["rho_tm1"] = np.ones_like(window["r_t"])
    out = jitted(**window)
    del window["rho_tm1"]
    np.testing.assert_allclose(out.errors, jitted_gae(**window), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(out.pg_advantage, jitted_gae(**window), rtol=1e-4, atol=1e-3)


def test_no_leak_across_truncation():
    """What happens after a cut changes nothing before it."""
    truncated_t = jnp.array([0, 1, 0, 0], bool)
    before = lambda *x: jax.tree.map(lambda y: y[:2], vtrace(*x, truncated_t=truncated_t))
    jacobians = jax.jacobian(before, argnums=(0, 2, 3, 4))(*[jnp.ones(4)] * 4, jnp.full(4, 0.5))
    for by_argument in jacobians:
        for jacobian in by_argument:
            assert not np.any(jacobian[:, 2:])
    for by_v_t in (y[2] for y in jacobians):
        assert by_v_t[1, 1] > 0  # and the step that is cut still bootstraps


def test_clips():
    """Beyond its bound a ratio no longer matters; the two bounds act apart."""
    one = jnp.ones(1)
    run = lambda rho, **clips: vtrace(one, 0 * one, 0 * one, one, rho * one, **clips)
    assert run(5.0).errors[0] == run(1.0).errors[0] == 1
    assert run(5.0, clip_rho=3.0).errors[0] == 3 and run(5.0, clip_rho=3.0).pg_advantage[0] == 1
    assert run(5.0, clip_pg_rho=np.inf).pg_advantage[0] == 5
    assert run(5.0, clip_rho=0.5).q_estimate[0] == 1  # what was seen, whoever acted


def test_jit_vmap_and_grad():
    keys = jax.random.split(jax.random.key(0), 5)
    arguments = [jax.random.uniform(key, (5, 3)) for key in keys]
    plain = vtrace(*arguments, 0.9)
    alone = jax.vmap(lambda *x: vtrace(*x, 0.9), in_axes=1, out_axes=1)(*arguments)
    for x, y, z in zip(plain, alone, jitted(*arguments, 0.9), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(x, z, rtol=1e-5, atol=1e-6)
    check_grads(jitted, (*arguments, 0.9), order=1, modes=["rev"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "name", ("discount_t", "v_tm1", "v_t", "rho_tm1", "lambda_", "truncated_t")
)
def test_messages(name):
    names = ("r_t", "discount_t", "v_tm1", "v_t", "rho_tm1", "lambda_", "truncated_t")
    arguments = dict.fromkeys(names, jnp.ones((3, 3))) | {name: jnp.ones(3)}
    with pytest.raises(AssertionError, match=f"vtrace: {name} must be"):
        vtrace(**arguments)

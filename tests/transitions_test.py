import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import transitions, values
from rlax_pref.types import Transition

pytestmark = pytest.mark.usefixtures("strict")

n_step = jax.jit(transitions.n_step)
N = 4


def window(r_t, terminated, truncated, valid=None, discount=0.5, reset=None):
    """Steps 0, 1, ... whose observations say where they are; `reset` is what a cut jumps to."""
    num = len(r_t)
    obs = np.arange(num + 1, dtype=np.float32)
    return Transition(
        obs_tm1={"at": obs[:-1]},
        a_tm1=np.arange(num, dtype=np.int32),
        r_t=np.asarray(r_t, np.float32),
        discount_t=np.where(terminated, 0.0, discount).astype(np.float32),
        truncated_t=np.asarray(truncated, bool),
        valid_t=np.ones(num, bool) if valid is None else np.asarray(valid, bool),
        obs_t={"at": obs[1:]},
    )


def oracle(w, v):
    """Walks through the window until something ends."""
    total, factor = 0.0, 1.0
    for k in range(len(w.r_t)):
        total += factor * float(w.r_t[k])
        factor *= float(w.discount_t[k])
        if w.discount_t[k] == 0 or w.truncated_t[k]:
            break
    return total + factor * v[k], factor, k, bool(np.all(w.valid_t[: k + 1]))


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    (
        ([0, 0, 0], [0, 0, 0], 4.0),
        ([0, 1, 0], [0, 0, 0], 2.0),
        ([0, 0, 0], [0, 1, 0], 4.5),
    ),
)
def test_golden(terminated, truncated, expected):
    step = n_step(window([1.0, 2.0, 3.0], terminated, truncated))
    np.testing.assert_allclose(step.r_t + step.discount_t * 10.0, expected)


def test_mistakes_have_other_numbers():
    """Terminal rewards lost to an inclusive mask, and rewards of the next episode let in."""
    r_t, alive = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0])
    inclusive = (0.5 ** np.arange(3) * np.cumprod(alive) * r_t).sum()
    not_cumulative = (0.5 ** np.arange(3) * alive * r_t).sum()
    right = n_step(window(r_t, [0, 1, 0], [0, 0, 0])).r_t
    assert right == 2.0 and inclusive == 1.0 and not_cumulative == 1.75


flags = st.lists(st.booleans(), min_size=N, max_size=N)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-5, 5, width=32), min_size=N, max_size=N), flags, flags, flags)
def test_definition(r_t, terminated, truncated, valid):
    truncated = np.array(truncated) & ~np.array(terminated)
    w = window(r_t, terminated, truncated, valid, discount=0.9)
    v = np.linspace(-1.0, 2.0, N)
    expected, factor, last, is_valid = oracle(w, v)
    step = n_step(w)
    np.testing.assert_allclose(step.r_t + step.discount_t * v[last], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(step.discount_t, factor, rtol=1e-5)
    assert step.obs_t["at"] == last + 1 and step.obs_tm1["at"] == 0 and step.a_tm1 == 0
    assert bool(step.valid_t) == is_valid and bool(step.truncated_t) == truncated[last]


@settings(deadline=None, max_examples=20)
@given(flags, flags)
def test_is_the_n_step_return_of_a_trajectory(terminated, truncated):
    truncated = np.array(truncated) & ~np.array(terminated)
    w = window([1.0, -2.0, 3.0, 0.5], terminated, truncated, discount=0.9)
    v_t = np.linspace(-1.0, 2.0, N).astype(np.float32)
    step = n_step(w)
    mine = step.r_t + step.discount_t * v_t[int(step.obs_t["at"]) - 1]
    theirs = values.n_step_returns(w.r_t, w.discount_t, v_t, N, truncated_t=w.truncated_t)[0]
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_one_step_is_the_step():
    w = window([2.0], [0], [1])
    step = n_step(w)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y), w, step)


def test_leading_axes_vmap_and_grad():
    one = window([1.0, 2.0, 3.0], [0, 1, 0], [0, 0, 0])
    other = window([1.0, 2.0, 3.0], [0, 0, 0], [0, 1, 0])
    both = jax.tree.map(lambda x, y: jnp.stack([x, y])[None], one, other)
    together = n_step(both)
    alone = jax.jit(jax.vmap(jax.vmap(transitions.n_step)))(both)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y), together, alone)
    assert together.obs_t["at"].tolist() == [[2, 2]]
    slope = jax.jit(jax.grad(lambda r: transitions.n_step(one._replace(r_t=r)).r_t))(jnp.ones(3))
    np.testing.assert_allclose(slope, [1.0, 0.5, 0.0])


def test_garbage_after_the_end_changes_nothing():
    w = window([1.0, 2.0, np.nan], [0, 1, 0], [0, 0, 0], valid=[1, 1, 0])
    step = n_step(w._replace(discount_t=np.array([0.5, 0.0, np.nan], np.float32)))
    assert step.r_t == 2.0 and step.discount_t == 0.0 and step.valid_t


def test_trajectory_end():
    last = np.array([0, 0, 1, 1, 0, 0], bool)
    np.testing.assert_array_equal(transitions.trajectory_end(last), [2, 2, 2, 3, 5, 5])
    two = np.stack([last, ~last], axis=1)
    ends = jax.jit(transitions.trajectory_end)(two)
    np.testing.assert_array_equal(ends[:, 1], [0, 1, 4, 4, 4, 5])


def test_trajectory_start_and_context():
    last = np.array([0, 0, 1, 1, 0, 0], bool)
    start = transitions.trajectory_start(last)
    np.testing.assert_array_equal(start, [0, 0, 0, 3, 4, 4])
    rows, mask = transitions.context(jnp.array([2, 3, 5]), start[jnp.array([2, 3, 5])], 3)
    np.testing.assert_array_equal(rows, [[0, 1, 2], [3, 3, 3], [4, 5, 5]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0], [1, 1, 0]])
    many = jax.vmap(lambda r, s: transitions.context(r, s, 3))(jnp.array([2, 3]), start[2:4])
    np.testing.assert_array_equal(many[0], rows[:2])


def test_messages():
    w = window([1.0, 2.0, 3.0], [0, 1, 0], [0, 0, 0])
    with pytest.raises(AssertionError, match="n_step: discount_t must be"):
        transitions.n_step(w._replace(discount_t=np.ones(2)))
    with pytest.raises(AssertionError, match="survival: truncated_t must be"):
        transitions.survival(jnp.ones(3), jnp.zeros(2, bool))


# The best trajectories ----------------------------------------------------------------------

best = jax.jit(transitions.best_trajectories)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(-3, 3), min_size=8, max_size=8),
    st.lists(st.sampled_from(("goes on", "terminated", "truncated")), min_size=8, max_size=8),
    st.sampled_from((0.01, 0.25, 1 / 3, 0.5, 1.0)),
)
def test_best_trajectories(r_t, ends, share):
    data = window(r_t, [x == "terminated" for x in ends], [x == "truncated" for x in ends])
    trajectories, rows = [], []
    for i, end in enumerate(ends):
        rows.append(i)
        if end != "goes on" or i == 7:
            trajectories.append(rows)
            rows = []
    wanted = sorted(trajectories, key=lambda rows: -sum(r_t[i] for i in rows))  # stable
    wanted = sorted(wanted[: max(1, int(share * len(wanted) + 1e-4))])
    rows = np.resize(np.concatenate(wanted), 8)
    found = best(data, share)
    np.testing.assert_array_equal(found.a_tm1, rows)
    np.testing.assert_array_equal(found.obs_t["at"], rows + 1)
    np.testing.assert_array_equal(found.r_t, np.array(r_t, np.float32)[rows])
    over = (found.discount_t == 0) | found.truncated_t
    np.testing.assert_array_equal(over, [any(x[-1] == i for x in trajectories) for i in rows])
    assert not np.any((found.discount_t == 0) & found.truncated_t)


def test_best_of_every_batch():
    data = window([1.0, 0.0, 2.0, 0.0], [0, 1, 0, 1], [0, 0, 0, 0])
    two = jax.tree.map(lambda x: jnp.stack([x, x]), data)
    found = jax.vmap(lambda data: best(data, 0.5))(two)
    np.testing.assert_array_equal(found.a_tm1, [[2, 3, 2, 3]] * 2)

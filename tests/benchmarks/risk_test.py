"""The benchmark of risk writes a line for each condition, and its board is what it says."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning import risk
from rlax_pref.types import Policy

UP, DOWN, RIGHT = 0, 1, 3


def test_it_writes_a_line_for_every_condition(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(risk, "NUM_EPISODES", 20)
    small = {"num_envs": 8, "warm_up": 64, "capacity": 64, "batch_size": 8, "hidden": (4,)}
    monkeypatch.setattr(risk, "SETTINGS", risk.SETTINGS | small)
    out = tmp_path / "lines.jsonl"
    options = ["--agents", "stock_dqn", "--seeds", "2", "--env-steps", "16", "--taus", "0.5", "1"]
    risk.main([*options, "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["tau"] for line in lines] == [0.5, 1.0]
    assert all(-200 < line["cvar"] <= line["mean"] + 1e-4 for line in lines)


def test_the_two_ways():
    """Straight through costs 4, and 10 more at three cells one time in ten; around costs 8."""
    through, around = [RIGHT] * 4, [UP, UP, *[RIGHT] * 4, DOWN, DOWN]

    def walk(moves):
        act = lambda time, obs, key: (time + 1, jnp.array(moves)[time])
        policy = Policy(lambda key: jnp.int32(0), act)
        key = jax.random.key(0)
        return risk.runner.evaluate(risk.Corridor(), policy, key, 2000, len(moves))

    short, long = jax.jit(lambda: walk(through))(), jax.jit(lambda: walk(around))()
    assert short["finished"].all() and long["finished"].all()
    assert (long["return"] == -8.0).all()
    np.testing.assert_allclose(short["return"].mean(), -7.0, atol=0.4)
    assert set(np.unique(short["return"])) <= {-4.0, -14.0, -24.0, -34.0}
    # A wall stops who would leave the corridor.
    env = risk.Corridor()
    _, step = env.step(jax.random.key(0), (jnp.array([2, 1]), jnp.int32(0)), jnp.int32(UP))
    assert step.obs.argmax() == 2 * risk.SIZE + 1


def test_cvar():
    returns = jnp.array([3.0, 1.0, 2.0, 4.0])
    for tau, expected in ((0.25, 1.0), (0.5, 1.5), (1.0, 2.5), (0.01, 1.0)):
        np.testing.assert_allclose(risk.cvar(returns, tau), expected)

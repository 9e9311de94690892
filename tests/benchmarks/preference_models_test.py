"""The benchmark of models of choice: who prefers what, what is studied, and that it runs."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import preference_models, worlds
from rlax_pref.envs import grid

from .made_up import SMALL, WEIGHTS, WIDE, write_world

WORLD = grid.grid_world(SMALL, WEIGHTS)


def known():
    return jax.jit(worlds.truth)(worlds.Worlds(WORLD.board, WORLD.weights, None, None))


def test_everyone_scores_a_segment_by_what_they_mind():
    """Left of the goal: one goes in, the other steps away and comes back; discount 0.999."""
    true = known()
    start, action = jnp.array([[1, 1]]), jnp.array([[[3, 3], [2, 3]]])  # right, right; left, right
    scores = preference_models.score(true, WORLD.unroll(start, action))
    value, q = true.optimum.value, true.optimum.q
    lost = float(q[1, 2] - value[1] + q[0, 3] - value[0])
    assert value[1] == 10 and value[2] == 0
    expected = {
        "partial_return": (10, -2),
        "regret": (0, lost),
        "expected_return": (10, -2 + 10),
        "expressive": (10 - 5, -2 + 10 - 5),
    }
    for i, who in enumerate(preference_models.PEOPLE):
        np.testing.assert_allclose(scores[0, :, i], expected[who], rtol=1e-5, atol=1e-5)


def test_temperature_is_the_noise_of_choices():
    scores = jnp.tile(jnp.array([1.0, 0.0])[None, :, None], (4000, 1, 2))
    choose = jax.jit(partial(preference_models.choose, jax.random.key(0), scores))
    np.testing.assert_array_equal(choose(0.0), 1)
    for temperature in (0.5, 1.0, 100.0):
        share = float(choose(temperature).mean())
        assert share == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=0.03)


def test_the_plan_holds_three_studies():
    plan = preference_models.plan([10, 50], [1.0, 5.0])
    rows = list(zip(*(leaf.tolist() for leaf in plan), strict=True))
    assert rows == [
        (10, 0, True),
        (50, 0, True),
        (10, 0, False),
        (50, 0, False),
        (50, 1, True),
        (50, 5, True),
    ]


def test_it_writes_a_line_for_every_condition_person_and_learner(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(preference_models, "NUM_POLICIES", 3)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    write_world(tmp_path / "MDP_1.npz", SMALL, pairs=(20, 3))
    write_world(tmp_path / "MDP_2.npz", WIDE, pairs=(20, 3))
    out, plot = tmp_path / "lines.jsonl", tmp_path / "plot.png"
    files = ["--data", str(tmp_path), "--out", str(out), "--plot", str(plot)]
    preference_models.main([*files, "--sizes", "5", "20", "--temperatures", "2", "--steps", "5"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    fields = ("pairs", "temperature", "absorbing", "person", "learner")
    names = {tuple(line[field] for field in fields) for line in lines}
    assert len(lines) == len(names) == 5 * 4 * 3
    for line in lines:
        returns = np.array(line["scaled_return"])
        assert line["worlds"] == ["MDP_1", "MDP_2"] and returns.shape == (2, 1)
        assert line["mean_clipped"] == pytest.approx(returns.clip(-1, 1).mean(), abs=1e-3)
    assert "   20      2       with  expressive" in capsys.readouterr().out and plot.exists()


def test_a_known_reward_is_learned_from_its_own_choices():
    """Noiseless choices by regret, learned by regret: near-optimal; few others would do."""
    source = worlds.Source(
        "made up",
        SMALL,
        WEIGHTS,
        lambda world: worlds._sample(jax.random.key(1), world, 0.0, 300),
    )
    returns = preference_models.study(
        worlds.stack([source]),
        worlds.seeds(jax.random.key(0), 1, 2),
        preference_models.plan([300], []),
        most=300,
        num_steps=300,
    )
    regret = preference_models.PEOPLE.index("regret"), preference_models.LEARNERS.index("regret")
    assert returns.shape == (1, 2, 2, 4, 3)
    assert (np.asarray(returns)[..., regret[0], regret[1]] > worlds.NEAR_OPTIMAL).all()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give --data, --generate"),
        (["--generate", "1", "--temperatures", "0"], 2, "must be positive"),
        (["--data", "/nowhere"], 1, "no world found"),
    ],
)
def test_nothing_to_study_ends_in_one_line(arguments, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    with pytest.raises(SystemExit) as error:
        preference_models.main([*arguments, "--out", str(tmp_path / "out.jsonl")])
    said = capsys.readouterr().err
    assert error.value.code == code and message in said and "Traceback" not in said

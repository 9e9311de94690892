"""The benchmark of shaped rewards: its Q-learning learns, waits and counts; its claim holds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import shaped_reward, worlds
from rlax_pref import tabular
from rlax_pref.envs import grid

from .made_up import SMALL, WEIGHTS, WIDE, write_world

q_learning = jax.jit(shaped_reward.q_learning, static_argnums=3, static_argnames="every")


def lanes(*next_states):
    """Two states, of which the second is terminal; reward 1 for entering it."""
    next_state = jnp.array([[row, [1, 1]] for row in next_states])
    num = len(next_states)
    return shaped_reward.Lanes(
        next_state=next_state,
        reward=jnp.where(jnp.array([True, False])[:, None], next_state == 1, 0).astype(jnp.float32),
        terminal=jnp.tile(jnp.array([False, True]), (num, 1)),
        start=jnp.tile(jnp.array([1.0, 0.0]), (num, 1)),
    )


@pytest.mark.parametrize("random_ties", [False, True])
def test_every_learner_completes_its_episodes_and_then_waits(random_ties):
    """One ends at once whatever it does; the other, which may stay, keeps it waiting."""
    q = q_learning(jax.random.key(0), lanes((1, 1), (0, 1)), random_ties, 3, every=4)
    assert q.shape == (3, 2, 2, 2)
    visits = -np.log2(1 - np.asarray(q[:, 0, 0]))  # each halves the error
    np.testing.assert_allclose(visits.sum(-1), [4, 8, 12])
    np.testing.assert_allclose(q[:, 1, 0, 1], 1 - 0.5 ** np.array([4, 8, 12]), rtol=1e-5)
    np.testing.assert_array_equal(q[:, :, 1], 0)  # nobody acts in a terminal state


def test_ties_are_broken_as_they_should_be():
    """Without exploration, who ends at once either way tries one action or both."""
    world = lanes(*[(1, 1)] * 64)
    world = world._replace(reward=jnp.zeros_like(world.reward) - 1)
    sole = {
        rule: np.asarray(q_learning(jax.random.key(1), world, rule, 1, every=1))[0, :, 0] != 0
        for rule in (False, True)
    }
    # Exploration at the first step: 0.4, half of which picks the second action.
    assert 0.05 < sole[False][:, 1].mean() < 0.35 < sole[True][:, 1].mean() < 0.65
    np.testing.assert_array_equal(sole[False].sum(1), 1)


def test_it_learns_what_is_optimal():
    world = grid.grid_world(SMALL, WEIGHTS)
    mdp, reward = world.tabular(), world.rewards()
    tile = lambda x: jnp.tile(x, (4,) + (1,) * x.ndim)
    side_by_side = shaped_reward.Lanes(
        *map(tile, (mdp.transition.argmax(-1), reward, mdp.terminal, mdp.start))
    )
    q = q_learning(jax.random.key(0), side_by_side, True, 4, every=40)
    optimum = jax.jit(tabular.optimal)(mdp, reward, worlds.DISCOUNT)
    open_states = np.flatnonzero(~np.asarray(mdp.terminal))
    best = np.asarray(optimum.q)[open_states].max(-1)
    learned = np.asarray(q[-1])[:, open_states].max(-1)
    np.testing.assert_allclose(learned, np.broadcast_to(best, learned.shape), atol=0.3)


def test_areas_are_above_clipped_curves():
    returns = np.array([[1.0, 1.0], [0.0, -7.0]])[:, None, :, None, None] * np.ones((2, 3, 2, 5, 4))
    np.testing.assert_allclose(shaped_reward.areas(returns), [[0, 0], [1, 2]])


def test_the_signed_rank_test_is_one_sided():
    pytest.importorskip("scipy")
    small, large = np.arange(6) / 10, 1 + np.arange(6) / 7
    assert shaped_reward.signed_rank(small, large) == pytest.approx(1 / 64)
    assert shaped_reward.signed_rank(large, small) == pytest.approx(1)


@pytest.fixture
def quick(monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setattr(worlds, "NUM_STEPS", 30)
    monkeypatch.setattr(shaped_reward, "TIME_LIMIT", 50)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)


def test_it_writes_a_line_for_every_reward_and_a_summary(tmp_path, quick, capsys):
    write_world(tmp_path / "random_mdps" / "MDP_1.npz", SMALL, pairs=(40, 3))
    write_world(tmp_path / "random_mdps" / "MDP_2.npz", WIDE, pairs=(30, 3))
    write_world(tmp_path / "random_mdps" / "MDP_3.npz", np.tile(SMALL, (3, 3)), pairs=(30, 3))
    out, plot = tmp_path / "lines.jsonl", tmp_path / "plot.png"
    files = ["--data", str(tmp_path), "--out", str(out), "--plot", str(plot)]
    sizes = ["--max-cells", "10", "--pairs", "20", "--seeds", "2", "--runs", "2"]
    shaped_reward.main([*files, *sizes, "--episodes", "40"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("reward", "summary") for line in lines] == [
        *shaped_reward.REWARDS,
        "summary",
    ] * 2
    assert [line["ties"] for line in lines] == ["first"] * 4 + ["random"] * 4
    for line in lines:
        if "summary" in line:
            assert line["worlds"] == 2 and 0 <= line["wilcoxon_p"] <= 1
        else:
            assert line["worlds"] == ["MDP_1", "MDP_2"] and line["episodes"] == [20, 40]
            curves = np.array(line["curve_by_world"])
            np.testing.assert_allclose(curves.mean(0), line["curve"], atol=1e-3)
            areas = 1 - curves.mean(1)
            np.testing.assert_allclose(areas, line["area_above_by_world"], atol=1e-3)
    assert "Wilcoxon signed-rank" in capsys.readouterr().out and plot.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give --data, --generate"),
        (["--generate", "1", "--episodes", "3"], 2, "at least 20"),
        (["--generate", "1", "--max-cells", "1"], 1, "none of 1 worlds"),
    ],
)
def test_nothing_to_study_ends_in_one_line(arguments, code, message, tmp_path, quick, capsys):
    with pytest.raises(SystemExit) as error:
        shaped_reward.main([*arguments, "--out", str(tmp_path / "out.jsonl")])
    said = capsys.readouterr().err
    assert error.value.code == code and message in said and "Traceback" not in said


def test_a_learned_advantage_is_learned_from_faster(data):
    """On one published world; and the exact one stalls where ties go to the first action."""
    [source] = [s for s in worlds.find(data, "random_mdps") if s.name == "MDP_101"]
    settings = {"num_pairs": 3000, "num_runs": 8, "num_evaluations": 6}
    measure = lambda random_ties: shaped_reward.areas(
        np.asarray(
            shaped_reward.study(
                jax.random.key(1),
                worlds.stack([source]),
                worlds.seeds(jax.random.key(0), 1, 1),
                jnp.bool_(random_ties),
                **settings,
            )
        )
    )[0]
    learned, true, exact = measure(False)
    assert learned < 0.2 < 0.5 * true
    assert measure(True)[2] < 0.5 * exact

"""Worlds of all sizes fit one program, and padding changes nothing that is true in them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.learning import worlds
from rlax_pref import preferences
from rlax_pref.envs import grid
from rlax_pref.types import DataError

from .made_up import SMALL, WEIGHTS, WIDE, write_world

TRUTH = jax.jit(worlds.truth)
KINDS = tuple(
    worlds.Choices(score, labels)
    for score in ("regret", "partial_return")
    for labels in ("noiseless", "stochastic")
)


def random_pairs(world, num, seed=0):
    return preferences.sample_segments(jax.random.key(seed), world.tabular(), (num, 2), 3)


def sources(*boards):
    return [
        worlds.Source(str(i), board, WEIGHTS, partial(random_pairs, num=7 + i, seed=i))
        for i, board in enumerate(boards)
    ]


def one(every, i):
    return jax.tree.map(lambda x: x[i], every)


def test_padding_changes_nothing_that_is_true():
    every = worlds.stack(sources(SMALL, WIDE))
    assert every.board.shape == (2, 2, 5)
    assert every.keep.sum(1).tolist() == [7, 8] and every.segments.action.shape == (2, 8, 2, 3)
    for i, board in enumerate((SMALL, WIDE)):
        alone = TRUTH(worlds.Worlds(jnp.asarray(board), jnp.asarray(WEIGHTS), None, None))
        padded = TRUTH(one(every, i))
        value = np.asarray(padded.optimum.value).reshape(2, 5)
        height, width = board.shape
        alone_value = np.asarray(alone.optimum.value).reshape(board.shape)
        np.testing.assert_allclose(value[:height, :width], alone_value, rtol=1e-5)
        np.testing.assert_allclose(padded.uniform, alone.uniform, rtol=1e-5)
        live = np.asarray(every.segments.live[i])
        first = np.asarray(every.segments.state[i, ..., 0])
        assert live[..., 0].all() and not np.asarray(padded.mdp.terminal)[first].any()


def test_the_truth_knows_its_own_scale():
    true = TRUTH(one(worlds.stack(sources(SMALL)), 0))
    assert true.scaled_return(true.optimum.policy) == pytest.approx(1, abs=1e-5)
    uniform = jnp.full(true.reward.shape, 0.25)
    assert true.scaled_return(uniform) == pytest.approx(0, abs=1e-5)
    both = worlds.extract(true, true.optimum.advantage)
    assert both["greedy"] == pytest.approx(1, abs=1e-5)


def test_people_of_one_taste_differ_in_noise_only():
    world = one(worlds.stack(sources(SMALL, WIDE)), 0)
    true = TRUTH(world)
    p_first = np.asarray(worlds.choose(jax.random.key(0), true, world.segments, KINDS))
    assert p_first.shape == (8, 4)
    table = {"regret": true.optimum.advantage, "partial_return": true.reward}
    for column, kind in zip(p_first.T, KINDS, strict=True):
        rows = np.asarray(table[kind.score])
        score = [
            [rows[s[:-1], a][live].sum() for s, a, live in zip(*pair, strict=True)]
            for pair in zip(*map(np.asarray, world.segments), strict=True)
        ]
        z = np.subtract(*np.transpose(score))
        if kind.labels == "noiseless":
            np.testing.assert_array_equal(column, np.where(np.abs(z) < 1e-5, 0.5, z > 0))
        else:
            assert set(column) <= {0.0, 1.0}


def test_only_pairs_that_count_are_learned_from(monkeypatch):
    monkeypatch.setattr(worlds, "NUM_STEPS", 30)
    world = one(worlds.stack(sources(SMALL, WIDE)), 0)
    true = TRUTH(world)
    learn = jax.jit(
        lambda p_first, keep: worlds.learn(
            jax.random.key(0), true, world.segments, p_first, keep, num_pairs=16
        )
    )
    keep = world.keep.at[2].set(False)
    p_first = jnp.stack([jnp.ones(8), jnp.zeros(8)], axis=1)
    tables = learn(p_first, keep)
    assert tables.shape == (2, 10, 4)
    np.testing.assert_array_equal(tables[:, np.asarray(true.mdp.terminal)], 0)
    changed = learn(jnp.where(keep[:, None], p_first, 0.5), keep)
    np.testing.assert_array_equal(tables, changed)
    assert not np.allclose(tables, learn(p_first.at[0].set(0.5), keep))


@pytest.mark.parametrize("batch", [None, 5])
def test_every_job_runs_once_in_its_place(batch):
    every = worlds.stack(sources(SMALL, WIDE))
    keys = worlds.seeds(jax.random.key(0), 2, 3)
    axis = jnp.array([10, 20])
    job = lambda world, key, entry: (world.keep.sum(), entry, jax.random.key_data(key))
    kept, entries, used = worlds.over(job, every, keys, axis, batch=batch)
    np.testing.assert_array_equal(kept, np.broadcast_to([[[7]], [[8]]], (2, 2, 3)))
    np.testing.assert_array_equal(entries, np.broadcast_to([[[10], [20]]], (2, 2, 3)))
    data = np.asarray(jax.random.key_data(keys))
    np.testing.assert_array_equal(used, np.broadcast_to(data[:, None], used.shape))


def test_more_seeds_leave_the_first_ones_as_they_were():
    few, many = (jax.random.key_data(worlds.seeds(jax.random.key(0), *n)) for n in ((2, 3), (4, 5)))
    np.testing.assert_array_equal(few, many[:2, :3])
    assert len(np.unique(np.asarray(many).reshape(-1, many.shape[-1]), axis=0)) == 20


def test_generated_worlds_bring_their_pairs():
    made = worlds.generate(jax.random.key(3), 2, num_pairs=5)
    every = worlds.stack(made)
    shape = np.max([source.board.shape for source in made], axis=0)
    assert every.board.shape == (2, *shape) and every.segments.action.shape == (2, 5, 2, 3)
    assert not np.array_equal(every.board[0], every.board[1])
    for source in made:
        assert source.board.shape[0] in (3, 6, 10, 15) and source.board.shape[1] in (5, 6, 10)
        assert not np.any(source.board == grid.HOUSE)
    again = worlds.generate(jax.random.key(3), 1, num_pairs=5)
    np.testing.assert_array_equal(again[0].board, made[0].board)


def test_who_slips_takes_a_random_action():
    """Where slipping is certain, nothing that is chosen matters; where it is not, part of it."""
    mdp = grid.grid_world(SMALL, WEIGHTS).tabular()
    same = worlds.slippery(mdp, 0.0)
    np.testing.assert_array_equal(same.transition, mdp.transition)
    lost, half = worlds.slippery(mdp, 1.0), worlds.slippery(mdp, 0.5)
    np.testing.assert_allclose(
        lost.features, mdp.features.mean(1, keepdims=True) + 0 * lost.features
    )
    np.testing.assert_allclose(half.transition, (mdp.transition + lost.transition) / 2)
    np.testing.assert_allclose(half.transition.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(half.terminal, mdp.terminal)
    np.testing.assert_array_equal(half.features[np.asarray(mdp.terminal)], 0)


def test_generated_worlds_may_be_slippery():
    def moved_as_chosen(slip):
        [source] = worlds.generate(jax.random.key(3), 1, num_pairs=300, slip=slip)
        every = worlds.stack([source])
        assert every.slip.tolist() == [pytest.approx(slip)]
        segments, world = one(every.segments, 0), grid.GridWorld(every.board[0], every.weights[0])
        after, _ = grid.move(world.board, segments.state[..., :-1], segments.action)
        return np.asarray(after == segments.state[..., 1:])[np.asarray(segments.live)].mean()

    assert moved_as_chosen(0.0) == 1
    assert 0.5 < moved_as_chosen(0.4) < 0.9


def test_worlds_are_found_by_number(tmp_path):
    for name in ("MDP_100", "MDP_20", "MDP_3"):
        write_world(tmp_path / "random_mdps" / f"{name}.npz", pairs=(4, 3))
    for folder in (tmp_path, tmp_path / "random_mdps"):
        found = worlds.find(folder, "random_mdps")
        assert [source.name for source in found] == ["MDP_3", "MDP_20", "MDP_100"]
    assert worlds.stack(found).segments.action.shape == (3, 4, 2, 3)
    with pytest.raises(DataError, match=r"no world found.*loop_mdps"):
        worlds.find(tmp_path, "loop_mdps")

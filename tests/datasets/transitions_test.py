"""The same behaviour in every layout is the same steps, and the layout is found out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import buffers, transitions
from rlax_pref.datasets import d4rl, inspect, load_transitions, minari, ogbench
from rlax_pref.types import Box, DataError, Discrete


@pytest.fixture(scope="module")
def toy(formats, tmp_path_factory):
    """Two episodes: 3 steps that terminate, 2 that are cut."""
    pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("toy")
    episodes = formats.make((3, 2), (True, False))
    np.savez(folder / "d4rl.npz", **formats.d4rl(episodes))
    np.savez(folder / "ogbench.npz", **formats.ogbench(episodes))
    formats.minari(folder / "minari", episodes)
    return folder, episodes


def test_one_behaviour_in_three_layouts(toy):
    """5 steps of Minari and OGBench, 4 of D4RL; equal but where a layout cannot tell."""
    folder, episodes = toy
    full = minari.load(folder / "minari").data
    np.testing.assert_array_equal(full.discount_t, [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(full.truncated_t, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(full.obs_t, np.concatenate([e.obs[1:] for e in episodes]))

    goals = ogbench.load(folder / "ogbench.npz").data
    for name in ("obs_tm1", "a_tm1", "obs_t", "valid_t"):
        np.testing.assert_array_equal(getattr(goals, name), getattr(full, name))
    np.testing.assert_array_equal(goals.discount_t, np.ones(5))  # nothing is said to terminate
    np.testing.assert_array_equal(goals.truncated_t, [0, 0, 1, 0, 1])

    steps = d4rl.load(folder / "d4rl.npz").data
    for name in ("obs_tm1", "a_tm1", "r_t", "discount_t", "valid_t"):
        np.testing.assert_array_equal(getattr(steps, name), getattr(full, name)[:4])
    on = steps.discount_t == 1  # what a termination led to is masked
    np.testing.assert_array_equal(steps.obs_t[on], full.obs_t[:4][on])
    np.testing.assert_array_equal(steps.truncated_t, [0, 0, 0, 1])

    whole = d4rl.load(folder / "d4rl.npz", "sequence").data
    for name in ("obs_tm1", "a_tm1", "r_t", "discount_t", "truncated_t"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(full, name))
    np.testing.assert_array_equal(whole.valid_t, [1, 1, 1, 1, 0])


def test_ends_of_trajectories(toy):
    """Of every reader the flags say where each row's trajectory ends."""
    folder, _ = toy
    for name, end in (
        ("minari", [2, 2, 2, 4, 4]),
        ("ogbench.npz", [2, 2, 2, 4, 4]),
        ("d4rl.npz", [2, 2, 2, 4, 4]),
    ):
        data = jax.tree.map(jnp.asarray, load_transitions(folder / name).data)
        last = (data.discount_t == 0) | data.truncated_t
        np.testing.assert_array_equal(transitions.trajectory_end(last), end)
    steps = d4rl.load(folder / "d4rl.npz").data
    last = jnp.asarray((steps.discount_t == 0) | steps.truncated_t)
    np.testing.assert_array_equal(transitions.trajectory_end(last), [2, 2, 2, 3])


def test_they_fill_a_buffer(toy):
    folder, _ = toy
    for name in ("minari", "ogbench.npz", "d4rl.npz"):
        data = load_transitions(folder / name).data
        replay = buffers.from_rows(data, num_envs=2)
        for kept, x in zip(jax.tree.leaves(replay.data), jax.tree.leaves(data), strict=True):
            np.testing.assert_array_equal(kept.reshape(-1, *kept.shape[2:])[:5], x)
            assert kept.dtype == x.dtype


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("minari", "minari: 5 steps in 2 trajectories, terminated 1 (50.0 %)"),
        ("d4rl.npz", "d4rl: 5 steps in 2 trajectories, terminated 1 (50.0 %)"),
        ("ogbench.npz", "ogbench: 5 steps in 2 trajectories, terminated 0 (0.0 %)"),
    ],
)
def test_inspect_knows_them(toy, name, what):
    folder, episodes = toy
    report = inspect(folder / name)
    assert report == load_transitions(folder / name).report
    assert str(report).startswith(what)
    assert (report.lengths, report.obs) == ((2, 2, 3), "float32 [2]")
    if report.returns is not None:
        returns = sorted(e.reward.sum(dtype=float) for e in episodes)
        expected = (returns[0], np.mean(returns), returns[1])
        np.testing.assert_allclose(report.returns, expected, rtol=1e-6)


def test_a_part_of_a_data_set_is_not_all_of_it(toy):
    folder, _ = toy
    with pytest.raises(DataError, match=r"part of a data set of Minari\. Fix: give its directory"):
        inspect(folder / "minari" / "data" / "main_data.hdf5")


def test_what_holds_no_steps(tmp_path):
    for name in ("none.npz", "rows.jsonl", "folder"):
        with pytest.raises(DataError, match="does not exist"):
            load_transitions(tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.jsonl").write_text("{}")
    np.savez(tmp_path / "none.npz", X=np.ones(1))
    for name in ("none.npz", "rows.jsonl", "folder"):
        with pytest.raises(DataError, match=r"holds no steps that can be read\. Fix: give"):
            load_transitions(tmp_path / name)


class World:
    """2 observations, and whatever actions are asked for."""

    def __init__(self, space, size=2):
        self.action_space, self.size = space, size

    def reset(self, key):
        return (), jnp.zeros(self.size)


@pytest.mark.parametrize(
    ("world", "what"),
    [
        (
            World(Box(-1, 1, (1,)), 3),
            r"observations: have shape \[2\]; the environment's have \[3\]",
        ),
        (World(Box(-1, 1, (2,))), r"actions: are float32 \[1\]; the environment takes Box"),
        (World(Discrete(4)), r"actions: are float32 \[1\]; the environment takes Discrete"),
    ],
)
def test_data_of_another_environment(toy, world, what):
    folder, _ = toy
    load_transitions(folder / "minari", World(Box(-1, 1, (1,))))
    with pytest.raises(DataError, match=f"minari: {what}.*Fix: give data of this environment"):
        load_transitions(folder / "minari", world)


def test_actions_that_there_are_not(formats, tmp_path):
    arrays = formats.d4rl(formats.make((3, 2), (True, False)))
    np.savez(tmp_path / "whole.npz", **arrays | {"actions": np.array([0, 1, 4, 2, 3])})
    load_transitions(tmp_path / "whole.npz", World(Discrete(5)))
    with pytest.raises(DataError, match=r"actions: are from 0 to 4; .*Discrete\(num=4\)"):
        load_transitions(tmp_path / "whole.npz", World(Discrete(4)))

"""Behaviour to write in every layout, and how each layout writes it, step by step."""

import json
from typing import NamedTuple

import numpy as np
import pytest


class Episode(NamedTuple):
    """T actions, and the T + 1 observations around them."""

    obs: np.ndarray  # [T + 1, 2]
    action: np.ndarray  # [T, 1]
    reward: np.ndarray  # [T]
    terminated: bool  # else recording stopped


def make_episodes(lengths, terminated, seed=0):
    draw = np.random.default_rng(seed)
    return [
        Episode(
            draw.normal(size=(length + 1, 2)).astype(np.float32),
            draw.uniform(-1, 1, (length, 1)).astype(np.float32),
            draw.normal(size=length).astype(np.float32),
            bool(end),
        )
        for length, end in zip(lengths, terminated, strict=True)
    ]


def d4rl_arrays(episodes):
    """Rows of D4RL; what the last action of an episode led to is nowhere."""
    rows = [
        (e.obs[t], e.action[t], e.reward[t], e.terminated and last, not e.terminated and last)
        for e in episodes
        for t in range(len(e.reward))
        for last in [t == len(e.reward) - 1]
    ]
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    return {name: np.array(x) for name, x in zip(names, zip(*rows, strict=True), strict=True)}


def ogbench_arrays(episodes):
    """Rows of OGBench: one more an episode, of the last state, with an action that nobody took."""
    pad = np.zeros((1, 1), np.float32)
    return {
        "observations": np.concatenate([e.obs for e in episodes]),
        "actions": np.concatenate([x for e in episodes for x in (e.action, pad)]),
        "terminals": np.concatenate(
            [np.append(np.zeros(len(e.reward)), 1.0) for e in episodes]
        ).astype(np.float32),
    }


def write_minari(folder, episodes, **more):
    """A directory of Minari, with HDF5 in it."""
    h5py = pytest.importorskip("h5py")
    (folder / "data").mkdir(parents=True)
    box = {"type": "Box", "dtype": "float32", "low": -9.0, "high": 9.0}
    meta = {
        "total_episodes": len(episodes),
        "total_steps": sum(len(e.reward) for e in episodes),
        "data_format": "hdf5",
        "observation_space": json.dumps(box | {"shape": [2]}),
        "action_space": json.dumps(box | {"shape": [1]}),
    }
    (folder / "data" / "metadata.json").write_text(json.dumps(meta | more))
    with h5py.File(folder / "data" / "main_data.hdf5", "w") as file:
        for number, e in enumerate(episodes):
            group = file.create_group(f"episode_{number}")
            last = np.arange(len(e.reward)) == len(e.reward) - 1
            group["observations"], group["actions"] = e.obs, e.action
            group["rewards"] = e.reward.astype(np.float64)
            group["terminations"] = last & e.terminated
            group["truncations"] = last & (not e.terminated)
    return folder


class Formats(NamedTuple):
    make = staticmethod(make_episodes)
    d4rl = staticmethod(d4rl_arrays)
    ogbench = staticmethod(ogbench_arrays)
    minari = staticmethod(write_minari)


@pytest.fixture(scope="session")
def formats():
    return Formats

"""Small worlds, and files of them, for the tests of benchmarks."""

import jax
import numpy as np

from rlax_pref import preferences
from rlax_pref.envs import grid

SMALL = np.array([[0, 0, 1], [3, 0, 4]])
WIDE = np.array([[0, 0, 0, 0, 1]])
WEIGHTS = np.array([-1, 10, -5, 1, -2, -2], np.float32)


def write_world(path, board=SMALL, weights=WEIGHTS, **fields):
    """A world in the plain layout, with random pairs of steps in each field, by its length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    world = grid.grid_world(board, weights)
    arrays = {}
    for seed, (field, (num, length)) in enumerate(fields.items()):
        pairs = preferences.sample_segments(jax.random.key(seed), world.tabular(), (num, 2), length)
        state, action = np.asarray(pairs.state), np.asarray(pairs.action)
        start = np.stack(np.divmod(state[..., :1], board.shape[1]), axis=-1)
        arrays[field] = np.concatenate([start, grid.MOVES[action]], axis=2).astype(np.int8)
    np.savez(path, board=board.astype(np.int8), w=weights, **arrays)

"""The way through the corridor, and what is judged along it."""

import jax
import numpy as np

from benchmarks.learning import long_corridor
from rlax_pref.agents import hiql
from rlax_pref.envs.maze import corridor, distances

MAZE = corridor(2, 4, speed=long_corridor.SPEED)


def test_the_way_goes_from_end_to_end_cell_by_cell():
    cells = long_corridor.way(jax.jit(distances)(MAZE.walls))
    assert cells[0].tolist() == [0, 0] and cells[-1].tolist() == [2, 0] and len(cells) == 9
    assert np.all(np.abs(np.diff(cells, axis=0)).sum(1) == 1)


def test_options_are_judged_by_their_own_value():
    cells = long_corridor.way(jax.jit(distances)(MAZE.walls))
    methods = {}
    for method in long_corridor.METHODS:
        config = long_corridor.settings(method)
        params = hiql.make_networks(MAZE.action_space, config).init(
            jax.random.key(0), MAZE.see(cells[:1])
        )
        by = long_corridor.high_advantages(MAZE, cells, config, params)
        assert by.shape == (2, 9 - long_corridor.HOP)
        shuffled = params | {"value": jax.tree.map(lambda x: x + 1.0, params["value"])}
        after = long_corridor.high_advantages(MAZE, cells, config, shuffled)
        methods[method] = bool(np.allclose(by, after))
    assert methods == {"hiql": False, "ota": True}


def test_settings_differ_by_the_options_alone():
    one, other = map(long_corridor.settings, ("hiql", "ota"))
    differ = {name for name in vars(one) if getattr(one, name) != getattr(other, name)}
    assert differ == {"option_steps"}

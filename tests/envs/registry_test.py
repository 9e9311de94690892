"""Environments by name, without importing what is not used."""

import json
import subprocess
import sys

import pytest

from rlax_pref import envs
from rlax_pref.envs.registry import ENVS, make


def modules_after(code):
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(json.loads(result.stdout))


def test_the_table_needs_no_jax():
    code = (
        "import rlax_pref.envs.registry as r; import rlax_pref.envs as e; assert e.ENVS is r.ENVS"
    )
    assert not modules_after(code) & {"jax", "jaxlib", "numpy", "flax", "brax", "gymnax"}


def test_our_own_need_no_adapter():
    code = "from rlax_pref import envs; envs.make('cartpole'); envs.make('delivery')"
    assert not modules_after(code) & {"brax", "gymnax", "gymnasium", "mujoco"}


@pytest.mark.parametrize(
    ("name", "kwargs", "kind"),
    [
        ("cartpole", dict(gravity=1.6), "CartPole"),
        ("pendulum", dict(time_limit=10), "Pendulum"),
        ("delay_chain", dict(num_steps=3), "DelayChain"),
        ("evergreen", dict(reward=2.0), "Evergreen"),
        ("gaussian_mixture", dict(num_dimensions=3), "GaussianMixture"),
        ("delivery", dict(time_limit=50), "GridWorld"),
        ("corridor", dict(speed=0.5), "Maze"),
        ("four_rooms", dict(continuous=True), "Maze"),
        ("random_grid", dict(seed=3), "GridWorld"),
        ("token_lock", dict(seed=3, partial=True), "TokenLock"),
        ("directed_lock", dict(seed=3, max_length=9), "Directed"),
        ("soft_tree", {}, "SoftTree"),
        ("bernoulli_prompts", dict(seed=3), "BernoulliPrompts"),
        ("circle", dict(num_tokens=5), "Circle"),
        ("addition", dict(num_digits=2), "Addition"),
        ("brax/fast", dict(time_limit=10), "Brax"),
        ("gymnax/Catch-bsuite", {}, "Gymnax"),
    ],
)
def test_make(name, kwargs, kind):
    env = make(name, **kwargs)
    assert type(env) is getattr(envs, kind)
    for key, value in kwargs.items():
        assert key == "seed" or getattr(env, key) == value


def test_every_own_name_is_made():
    for name in ENVS:
        if "/" not in name and name != "texts":  # which are in a file
            assert callable(make(name).step)


def test_seeds_differ():
    boards = [make("random_grid", seed=seed).board.tolist() for seed in (0, 0, 1)]
    assert boards[0] == boards[1] != boards[2]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("cartpol", "cartpole"),
        ("ant", "brax/ant"),
        ("pendulem", "pendulum"),
        ("bra/ant", "brax/ant"),
    ],
)
def test_unknown_names_get_a_suggestion(name, guess):
    with pytest.raises(ValueError, match=f"Unknown environment '{name}'. Did you mean '{guess}'"):
        make(name)


def test_contents_page():
    assert dir(envs) == sorted(envs.__all__)
    for name in envs.__all__:
        assert getattr(envs, name) is not None
        assert name in envs.__doc__
    with pytest.raises(AttributeError, match="no attribute 'cartpole_'"):
        _ = envs.cartpole_

"""Environments by name. Reading the table imports neither JAX nor any optional package."""

import importlib
from typing import Any

from rlax_pref.names import lookup

ENVS: dict[str, str] = {
    "cartpole": "balance a pole on a cart: 2 actions, 500 steps",
    "pendulum": "swing a pendulum up and hold it there: 1 torque, 200 steps",
    "delay_chain": "1 at once or 2 ten steps later: 2 arms (also `num_steps`)",
    "evergreen": "one state that pays 1 for ever, cut every 5 steps: 2 actions that do nothing",
    "corridor": "a long folded corridor, a goal at some place of it: 4 moves",
    "four_rooms": "four rooms with four doors, a goal in one of them: 4 moves",
    "gaussian_mixture": "a point beside a direction, in one step; demonstrations are of two kinds",
    "delivery": "the delivery task of the human preference studies: a 10x10 grid, 4 actions",
    "random_grid": "a random grid world of the same family, drawn from `seed`: 4 actions",
    "token_lock": "locks of 12 tokens of which 3 matter: 4 tokens, 32 prompts, drawn from `seed`",
    "directed_lock": "locks with two keys that disagree; prompts say how much each matters",
    "soft_tree": "two binary decisions, whose regularised optimum is known",
    "bernoulli_prompts": "prompts that are easy or hard whatever is answered, drawn from `seed`",
    "circle": "answers of which each beats the next, in a circle: 3 answers of one token",
    "texts": "prompts with answers that people judged, of the file `path` (or `train --data`)",
    "addition": "adding numbers of `num_digits` digits: 11 tokens, digits and a stop",
    "brax/ant": "four-legged robot, run forward: 8 torques (also `backend`, `time_limit`)",
    "brax/fast": "no physics, one number to push up: for testing what learns from brax",
    "brax/halfcheetah": "two-legged robot in the plane, run forward: 6 torques",
    "brax/hopper": "one-legged robot in the plane, hop forward: 3 torques",
    "brax/humanoid": "human-like robot, run forward: 17 torques",
    "brax/humanoidstandup": "human-like robot, stand up: 17 torques",
    "brax/inverted_double_pendulum": "balance two poles on a cart: 1 force",
    "brax/inverted_pendulum": "balance a pole on a cart: 1 force",
    "brax/pusher": "robot arm, push an object to a goal: 7 torques",
    "brax/reacher": "two-jointed arm, reach a point: 2 torques",
    "brax/swimmer": "three-link swimmer: 2 torques",
    "brax/walker2d": "two-legged robot in the plane, walk forward: 6 torques",
    "gymnax/NAME": "any environment of gymnax by its name, e.g. gymnax/CartPole-v1",
}

_MAKERS = {
    "cartpole": "cartpole:CartPole",
    "pendulum": "pendulum:Pendulum",
    "delay_chain": "delay_chain:DelayChain",
    "evergreen": "evergreen:Evergreen",
    "corridor": "maze:corridor",
    "four_rooms": "maze:four_rooms",
    "gaussian_mixture": "gaussian_mixture:GaussianMixture",
    "delivery": "grid:delivery",
    "random_grid": "grid:random_grid_from_seed",
    "token_lock": "lock:token_lock",
    "directed_lock": "directed:directed_lock",
    "soft_tree": "soft_tree:SoftTree",
    "bernoulli_prompts": "bernoulli:bernoulli_prompts",
    "circle": "circle:Circle",
    "texts": "judged:texts",
    "addition": "addition:Addition",
}
_ADAPTERS = {"brax": "brax:Brax", "gymnax": "gymnax:Gymnax"}


def make(name: str, **kwargs: Any) -> Any:
    """An environment by its name.

    Args:
      name: one of `ENVS`; `gymnax/NAME` and `brax/NAME` reach all that those packages offer.
      **kwargs: passed on to the environment, e.g. `make("cartpole", gravity=1.6)`.

    Returns:
      The raw environment, which does not reset itself: see `AutoReset`.

    Raises:
      ValueError: the name is unknown; the message suggests the closest one.
      ImportError: the package behind an adapter is missing; the message says how to get it.
    """
    package, slash, inner = name.partition("/")
    if slash and package in _ADAPTERS:
        return _load(_ADAPTERS[package])(inner, **kwargs)
    lookup(ENVS, name, "environment")
    return _load(_MAKERS[name])(**kwargs)


def _load(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(importlib.import_module(f"rlax_pref.envs.{module}"), attribute)

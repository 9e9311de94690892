"""Where does it act? Environments: pure `reset` and `step`, physics as fields.

  CartPole      balance a pole on a cart (Barto, Sutton & Anderson, 1983)
  Pendulum      swing a pendulum up and hold it there
  Evergreen     one state that pays for ever, cut by a time limit
  DelayChain    a little now or more later
  GridWorld     the grid family of the preference studies (Knox et al., 2022, arXiv:2206.02231)
  delivery      its delivery task, which people gave their preferences on
  random_grid   its random members (Knox et al., 2023, arXiv:2310.02456)
  Maze, corridor, four_rooms  a goal is to be reached, another one each time
  GaussianMixture  a point is made: what is demonstrated lies on two sides, what pays on one
  TokenEnv      tasks of tokens: a prompt is answered, the whole response is judged
  TokenLock, token_lock                combination locks: a few tokens matter, together
  Directed, directed_lock              the same with two keys, and prompts that weigh them
  SoftTree                             two decisions, whose regularised optimum is known
  BernoulliPrompts, bernoulli_prompts  prompts that are easy or hard, whatever is answered
  Circle                               answers of which none is the best
  Texts, texts                         prompts with answers that people judged
  Addition                             adding numbers digit by digit, judged exactly
  Brax, Gymnax  adapters for the environments of brax and gymnax
  AutoReset     the one wrapper that begins a new episode where one ended
  Rewarded      the same world with another reward, such as a learned one
  rollout, Rollout  what happens when a policy acts
  check_env     what is wrong with my environment?
  make, ENVS    environments by name

A raw environment does not reset itself and is not batched: `jax.vmap` it. Nothing is imported
before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._rollout import Rollout, rollout
    from .addition import Addition
    from .auto_reset import AutoReset
    from .bernoulli import BernoulliPrompts, bernoulli_prompts
    from .brax import Brax
    from .cartpole import CartPole
    from .check import check_env
    from .circle import Circle
    from .delay_chain import DelayChain
    from .directed import Directed, directed_lock
    from .evergreen import Evergreen
    from .gaussian_mixture import GaussianMixture
    from .grid import GridWorld, delivery, random_grid
    from .gymnax import Gymnax
    from .judged import Texts, texts
    from .lock import TokenLock, token_lock
    from .maze import Maze, corridor, four_rooms
    from .pendulum import Pendulum
    from .registry import ENVS, make
    from .rewarded import Rewarded
    from .soft_tree import SoftTree
    from .tokens import TokenEnv

__all__ = [
    "ENVS",
    "Addition",
    "AutoReset",
    "BernoulliPrompts",
    "Brax",
    "CartPole",
    "Circle",
    "DelayChain",
    "Directed",
    "Evergreen",
    "GaussianMixture",
    "GridWorld",
    "Gymnax",
    "Maze",
    "Pendulum",
    "Rewarded",
    "Rollout",
    "SoftTree",
    "Texts",
    "TokenEnv",
    "TokenLock",
    "bernoulli_prompts",
    "check_env",
    "corridor",
    "delivery",
    "directed_lock",
    "four_rooms",
    "make",
    "random_grid",
    "rollout",
    "texts",
    "token_lock",
]

_HOME = {
    "ENVS": "registry",
    "Addition": "addition",
    "AutoReset": "auto_reset",
    "BernoulliPrompts": "bernoulli",
    "Brax": "brax",
    "CartPole": "cartpole",
    "Circle": "circle",
    "DelayChain": "delay_chain",
    "Directed": "directed",
    "Evergreen": "evergreen",
    "GaussianMixture": "gaussian_mixture",
    "GridWorld": "grid",
    "Gymnax": "gymnax",
    "Maze": "maze",
    "Pendulum": "pendulum",
    "Rewarded": "rewarded",
    "Rollout": "_rollout",
    "SoftTree": "soft_tree",
    "Texts": "judged",
    "TokenEnv": "tokens",
    "TokenLock": "lock",
    "bernoulli_prompts": "bernoulli",
    "check_env": "check",
    "corridor": "maze",
    "delivery": "grid",
    "directed_lock": "directed",
    "four_rooms": "maze",
    "make": "registry",
    "random_grid": "grid",
    "rollout": "_rollout",
    "texts": "judged",
    "token_lock": "lock",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"rlax_pref.envs.{_HOME[name]}"), name)
    raise AttributeError(f"module 'rlax_pref.envs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Where does it act? Environments: pure `reset` and `step`, physics as fields.

  CartPole      balance a pole on a cart (Barto, Sutton & Anderson, 1983)
  Pendulum      swing a pendulum up and hold it there
  GridWorld     the grid family of the preference studies (Knox et al., 2022, arXiv:2206.02231)
  delivery      its delivery task, which people gave their preferences on
  random_grid   its random members (Knox et al., 2023, arXiv:2310.02456)
  Brax, Gymnax  adapters for the environments of brax and gymnax
  AutoReset     the one wrapper that begins a new episode where one ended
  check_env     what is wrong with my environment?
  make, ENVS    environments by name

A raw environment does not reset itself and is not batched: `jax.vmap` it. Nothing is imported
before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auto_reset import AutoReset
    from .brax import Brax
    from .cartpole import CartPole
    from .check import check_env
    from .grid import GridWorld, delivery, random_grid
    from .gymnax import Gymnax
    from .pendulum import Pendulum
    from .registry import ENVS, make

__all__ = [
    "ENVS",
    "AutoReset",
    "Brax",
    "CartPole",
    "GridWorld",
    "Gymnax",
    "Pendulum",
    "check_env",
    "delivery",
    "make",
    "random_grid",
]

_HOME = {
    "ENVS": "registry",
    "AutoReset": "auto_reset",
    "Brax": "brax",
    "CartPole": "cartpole",
    "GridWorld": "grid",
    "Gymnax": "gymnax",
    "Pendulum": "pendulum",
    "check_env": "check",
    "delivery": "grid",
    "make": "registry",
    "random_grid": "grid",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"rlax_pref.envs.{_HOME[name]}"), name)
    raise AttributeError(f"module 'rlax_pref.envs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Environments of gymnax 1.0 and later (Lange, 2022, github.com/RobertTLange/gymnax)."""

import importlib.metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.names import lookup
from rlax_pref.types import Array, Box, Discrete, Key, PyTree, TimeStep

from ._later import put_off
from ._match import match_types


@jax.tree_util.register_pytree_node_class
class Gymnax:
    """A gymnax environment, stepped without its own resetting.

    Natural ends terminate; gymnax's time limit (`params.max_steps_in_episode`) truncates. The
    parameters are leaves, the environment itself is structure. What is seen of MinAtar is zeros and
    ones, so it is bool here: whoever stores it needs a quarter of the memory.

    Args:
      env: a registered name such as `"CartPole-v1"`, or an environment object.
      params: its parameters; by default those that gymnax gives it.
      **kwargs: passed on to `gymnax.make`, for a name.

    Raises:
      ImportError: gymnax, or `six`, which it needs but does not ask for, is not installed.
      ValueError: the name is unknown, the environment follows the interface from before
        gymnax 1.0, or its actions are neither discrete nor a box with equal bounds.
    """

    action_space: Discrete | Box

    def __init__(self, env: Any, params: Any = None, **kwargs: Any) -> None:
        self.env = _make(env, **kwargs) if isinstance(env, str) else env
        _refuse_old(self.env)
        self.params = self.env.default_params if params is None else params
        self.action_space = _action_space(self.env, self.params)

    def reset(self, key: Key) -> tuple[PyTree, Array]:
        """Begins an episode: `key -> (state, obs)`."""
        obs, state = self.env.reset_env(key, self.params)
        space = self.action_space
        if isinstance(space, Discrete):
            action = jnp.int32(0)
        else:
            action = jnp.zeros(space.shape)
        example = jax.eval_shape(self.env.step_env, key, state, action, self.params)
        return match_types(state, example[1]), self._see(match_types(obs, example[0]))

    def step(self, key: Key, state: PyTree, action: Array) -> tuple[PyTree, TimeStep]:
        """Moves on by one action, never into a new episode."""
        obs, reached, reward, terminated, _ = self.env.step_env(key, state, action, self.params)
        obs = self._see(match_types(obs, obs))
        terminated = jnp.asarray(terminated, bool)
        return match_types(reached, state), TimeStep(
            obs=obs,
            reward=jnp.asarray(reward, jnp.float32),
            discount=1.0 - terminated.astype(jnp.float32),
            truncated=jnp.asarray(self.env.is_truncated(reached, self.params)) & ~terminated,
            last_obs=obs,
        )

    def _see(self, obs: Array) -> Array:
        return obs.astype(bool) if "MinAtar" in getattr(self.env, "name", "") else obs

    def tree_flatten(self) -> tuple[tuple[Any], tuple[Any, Discrete | Box]]:
        """The parameters, then what stays the same."""
        return (self.params,), (self.env, self.action_space)

    @classmethod
    def tree_unflatten(cls, structure: tuple[Any, Discrete | Box], leaves: tuple[Any]) -> "Gymnax":
        """The inverse of `tree_flatten`."""
        self = object.__new__(cls)
        self.env, self.action_space = structure
        (self.params,) = leaves
        return self


def _make(name: str, **kwargs: Any) -> Any:
    try:
        with put_off("matplotlib.pyplot", "seaborn"):  # for pictures: nine tenths of the time
            import gymnax
    except ModuleNotFoundError as error:
        raise ImportError(
            f"gymnax/{name} needs the package '{error.name}': pip install 'rlax_pref[gymnax]'"
        ) from error
    if hasattr(gymnax, "registered_envs"):
        lookup({known: known for known in gymnax.registered_envs}, name, "gymnax environment")
    return gymnax.make(name, **kwargs)[0]


def _refuse_old(env: Any) -> None:
    needed = ("reset_env", "step_env", "is_truncated", "action_space", "default_params")
    missing = [name for name in needed if not hasattr(env, name)]
    if not missing:
        return
    try:
        version = importlib.metadata.version("gymnax")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    raise ValueError(
        f"{type(env).__name__} has no {', '.join(missing)}: it does not follow the interface of "
        "gymnax 1.0, which tells time limits from natural ends (before, both were one 'done'). "
        f"Installed is gymnax {version}: pip install 'gymnax>=1.0' six"
    )


def _action_space(env: Any, params: Any) -> Discrete | Box:
    space = env.action_space(params)
    if hasattr(space, "n"):
        return Discrete(int(space.n))
    low, high = np.unique(getattr(space, "low", ())), np.unique(getattr(space, "high", ()))
    if low.size != 1 or high.size != 1:
        raise ValueError(
            f"{type(env).__name__}: actions must be discrete or a box whose entries have the "
            f"same bounds, not {space!r}"
        )
    return Box(float(low[0]), float(high[0]), tuple(space.shape))

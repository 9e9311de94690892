"""Environments of brax (Freeman et al., 2021, arXiv:2106.13281)."""

import contextlib
import importlib.metadata
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.names import lookup
from rlax_pref.types import Array, Box, Key, Numeric, TimeStep

from ._lanes import in_lanes, shapes_of
from ._match import match_types
from .registry import ENVS


class State(NamedTuple):
    """A brax state, and how long the episode is."""

    brax: Any
    time: Array  # [] int32, steps since the reset


class _Programs(NamedTuple):
    """What a robot does, traced once for each shape of what it is given, which is left as it is."""

    reset: Callable[[Key], Any]
    step: Callable[[Any, Array], Any]


@jax.tree_util.register_pytree_node_class
class Brax:
    """A raw brax environment: physics that may fall over, under a time limit that only cuts.

    brax's own wrappers send every episode back to one cached start and lose the observation from
    before; here a fall (`done`) terminates, the time limit truncates, and `AutoReset` starts
    anew. Actions lie between -1 and 1 and are clipped to that.

    Args:
      env: a name such as `"ant"`, or a raw environment object.
      backend: the physics: `"spring"` and `"positional"` are fast, `"generalized"` and `"mjx"`
        are closer to MuJoCo. For a name only.
      time_limit: steps after which an episode is truncated; a leaf.
      **kwargs: passed on to the environment's constructor, for a name.

    Raises:
      ValueError: the name is unknown or does not work in the installed brax, or the object is
        wrapped by brax to reset or to count steps itself.
    """

    action_space: Box

    def __init__(
        self, env: Any, *, backend: str = "spring", time_limit: Numeric = 1000, **kwargs: Any
    ) -> None:
        self.env = _make(env, backend=backend, **kwargs) if isinstance(env, str) else env
        _refuse_wrapped(self.env)
        self._programs = _compile(self.env)
        self.time_limit = time_limit
        self.action_space = Box(-1.0, 1.0, (int(self.env.action_size),))

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins an episode: `key -> (state, obs)`."""
        state = self._programs.reset(key)
        return State(state, jnp.int32(0)), state.obs

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Moves on by one action. Nothing here is random: `key` is not used."""
        reached = self._programs.step(state.brax, jnp.clip(action, -1.0, 1.0))
        reached = match_types(reached, state.brax)
        time = state.time + 1
        terminated = reached.done > 0.5
        return State(reached, time), TimeStep(
            obs=reached.obs,
            reward=reached.reward.astype(jnp.float32),
            discount=1.0 - terminated.astype(jnp.float32),
            truncated=(time >= self.time_limit) & ~terminated,
            last_obs=reached.obs,
        )

    def tree_flatten(self) -> tuple[tuple[Numeric], tuple[Any, _Programs, Box]]:
        """The time limit, then what stays the same."""
        return (self.time_limit,), (self.env, self._programs, self.action_space)

    @classmethod
    def tree_unflatten(
        cls, structure: tuple[Any, _Programs, Box], leaves: tuple[Numeric]
    ) -> "Brax":
        """The inverse of `tree_flatten`."""
        self = object.__new__(cls)
        self.env, self._programs, self.action_space = structure
        (self.time_limit,) = leaves
        return self


def _compile(env: Any) -> _Programs:
    """Physics that go from body to body are computed in lanes.

    The others solve equations of all joints at once, which take most of the time and gain nothing.
    """
    step = jax.jit(env.step)
    by_body = getattr(env, "backend", "") in ("spring", "positional")

    def reset(key: Key) -> Any:
        state = env.reset(key)
        if not isinstance(state.obs, jax.Array):
            raise ValueError(
                f"{type(env).__name__}: the observation must be one array, not "
                f"{type(state.obs).__name__}"
            )
        action = jnp.zeros(env.action_size)
        return match_types(state, jax.eval_shape(step, *shapes_of((state, action))))

    return _Programs(jax.jit(reset), jax.jit(in_lanes(step)) if by_body else step)


def _make(name: str, **kwargs: Any) -> Any:
    version = importlib.metadata.version("brax")
    if name == "swimmer" and version == "0.14.2":
        raise ValueError(
            "brax/swimmer does not run: brax 0.14.2 calls jax.numpy.clip in a way that JAX 0.10 "
            "no longer knows. brax's repository has the fix, its releases do not yet."
        )
    with _quiet():
        from brax import envs

        try:
            return envs.get_environment(name, **kwargs)
        except KeyError:
            known = [env.removeprefix("brax/") for env in ENVS if env.startswith("brax/")]
            lookup(dict.fromkeys(known, ""), name, "brax environment")
            raise  # a known name: something else is missing


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without brax's lines about packages it can do without and about its maintenance."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Brax System", category=UserWarning)
        yield


def _refuse_wrapped(env: Any) -> None:
    from brax.envs.wrappers import training

    refused = (training.AutoResetWrapper, training.EpisodeWrapper, training.VmapWrapper)
    layer = env
    while layer is not None:
        if isinstance(layer, refused):
            raise ValueError(
                f"the environment is wrapped in brax's {type(layer).__name__}; pass the raw one "
                "(brax.envs.get_environment): AutoReset, time_limit and jax.vmap do the rest"
            )
        layer = getattr(layer, "__dict__", {}).get("env")

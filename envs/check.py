"""What is wrong with my environment? The contract of `types.Env`, checked."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.types import Array, Box, Discrete, Key, PyTree, TimeStep

from .auto_reset import AutoReset

# Compiled or batched, floats may round differently: an angle near 0 by 5e-4, where it is the arc
# cosine of a float32.
_TOLERANCE = dict(rtol=1e-3, atol=1e-3)


def check_env(env: Any, key: Key | None = None, num_steps: int = 32) -> None:
    """Checks that an environment keeps the contract of `types.Env`.

    It resets and steps the environment with random actions, plain, compiled and batched, and
    compares. That takes seconds, most of them compiling; with a physics engine, a minute.

    Args:
      env: the environment, raw or within `AutoReset`.
      key: where the random actions and starts come from; the same by default.
      num_steps: how many steps to take. An episode need not end within them.

    Raises:
      ValueError: all that is wrong, in one message, a line each.

    Warns:
      UserWarning: all keys give the same start, as only an environment without chance should.
    """
    key = jax.random.key(0) if key is None else key
    problems = _check_interface(env)
    if not problems:
        problems = _check_behaviour(env, key, num_steps)
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise ValueError(f"{type(env).__name__} breaks the contract of an environment:{lines}")


def _check_interface(env: Any) -> list[str]:
    problems = [
        f"{name} is missing: {what}"
        for name, what in (
            ("reset", "define reset(key) -> (state, obs)"),
            ("step", "define step(key, state, action) -> (state, TimeStep)"),
        )
        if not callable(getattr(env, name, None))
    ]
    space = getattr(env, "action_space", None)
    if isinstance(space, Discrete):
        if space.num < 1:
            problems.append(f"action_space: Discrete needs at least one action, not {space.num}")
    elif isinstance(space, Box):
        if not space.low < space.high:
            problems.append(f"action_space: Box needs low < high, not {space.low}, {space.high}")
    elif space is None:
        problems.append("action_space is missing: make it a types.Discrete or a types.Box")
    else:
        problems.append(f"action_space must be a types.Discrete or types.Box, not {space!r}")
    return problems


def _check_behaviour(env: Any, key: Key, num_steps: int) -> list[str]:
    key_reset, key_other, key_step, key_action, key_run = jax.random.split(key, 5)

    problems, start = _call(env.reset, "reset", key_reset)
    problems += _check_start(start) if not problems else []
    if problems:
        return problems

    arguments = (key_step, start[0], sample_action(env.action_space, key_action))
    problems, reached = _call(env.step, "step", *_copy(arguments))
    problems += _check_reached(reached) if not problems else []
    if problems:
        return problems

    problems = _check_state_type(start[0], reached[0])
    problems += _check_timestep_type(start[1], reached[1])
    if not problems:
        problems = _check_finite("reset", "obs", start[1]) + _check_values(env, reached[1])
    impure = _check_pure(env, key_reset, arguments, start, reached)
    problems += impure
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    if not impure:
        problems += _check_compiled(reset, "reset", (key_reset,), start)
        problems += _check_compiled(step, "step", arguments, reached)
    if not problems:
        problems = _check_batched(env, reset, step, key_run)
        problems += _check_run(env, reset, step, key_run, num_steps)

    others = [env.reset(key) for key in jax.random.split(key_other, 4)]
    if not any(_differences(start, other) for other in others):
        warnings.warn(
            f"{type(env).__name__}: reset gives the same start for five keys. If starts should "
            "vary, draw them from the key.",
            stacklevel=3,
        )
    return problems


def sample_action(space: Discrete | Box, key: Key) -> Array:
    """A uniformly random action; where a box has no bounds, one between -1 and 1."""
    if isinstance(space, Discrete):
        return jax.random.randint(key, (), 0, space.num)
    low, high = max(space.low, -1e3), min(space.high, 1e3)
    return jax.random.uniform(key, space.shape, minval=low, maxval=high)


# One call -----------------------------------------------------------------------------------


def _call(function: Callable, name: str, *args: Any) -> tuple[list[str], Any]:
    try:
        return [], function(*args)
    except Exception as error:  # whatever a stranger's code raises is a finding
        return [f"{name} raised {type(error).__name__}: {_first_line(error)}"], None


def _check_start(start: Any) -> list[str]:
    if not (isinstance(start, tuple) and len(start) == 2):
        return [f"reset must return (state, obs), not {_describe(start)}"]
    return _check_leaves("reset", "state", start[0]) + _check_array("reset", "obs", start[1])


def _check_reached(reached: Any) -> list[str]:
    if not (isinstance(reached, tuple) and len(reached) == 2):
        return [f"step must return (state, TimeStep), not {_describe(reached)}"]
    state, timestep = reached
    if not isinstance(timestep, TimeStep):
        return [f"step must return a types.TimeStep after the state, not {_describe(timestep)}"]
    problems = _check_leaves("step", "state", state)
    for name, value in timestep._asdict().items():
        problems += _check_array("step", f"TimeStep.{name}", value)
    return problems


def _check_leaves(method: str, name: str, tree: PyTree) -> list[str]:
    return [
        f"{method}: {name}{jax.tree_util.keystr(path)} is a {type(leaf).__name__}, which JAX "
        "cannot carry; use arrays"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, int, float, bool, complex))
    ]


def _check_array(method: str, name: str, value: Any) -> list[str]:
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return []
    return [f"{method}: {name} must be one array, not {_describe(value)}"]


def _check_state_type(before: PyTree, after: PyTree) -> list[str]:
    if not _same_structure(before, after):
        return [
            "step: the state's structure differs from reset's: "
            f"{jax.tree.structure(after)} after {jax.tree.structure(before)}"
        ]
    after_leaves = jax.tree.leaves(after)
    return [
        f"step: state{jax.tree_util.keystr(path)} is {_type(new)}, from reset it was {_type(old)}"
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(before), after_leaves, strict=True
        )
        if _type(old) != _type(new)
    ]


def _check_timestep_type(obs: Array, timestep: TimeStep) -> list[str]:
    expected = dict(
        obs=_type(obs),
        reward="float32 []",
        discount="float32 []",
        truncated="bool []",
        last_obs=_type(obs),
    )
    return [
        f"step: TimeStep.{name} is {_type(value)}, it must be {expected[name]}"
        + (" as from reset" if name in ("obs", "last_obs") else "")
        for name, value in timestep._asdict().items()
        if _type(value) != expected[name]
    ]


# What one call promises about another -------------------------------------------------------


def _check_pure(
    env: Any, key: Key, arguments: tuple[Key, PyTree, Array], start: Any, reached: Any
) -> list[str]:
    problems = []
    if where := _differences(start, env.reset(key)):
        problems.append(f"reset is not pure: called twice with one key, it differs in {where}")
    given = _copy(arguments)
    again = env.step(*given)
    if where := _differences(arguments[1], given[1]):
        problems.append(
            f"step is not pure: it changes the state it is given in {where}; return a new one"
        )
    if where := _differences(reached, again):
        problems.append(f"step is not pure: called twice with one input, it differs in {where}")
    return problems


def _check_compiled(
    compiled: Callable, name: str, arguments: tuple[Any, ...], plain: Any
) -> list[str]:
    problems, result = _call(compiled, f"{name} under jax.jit", *_copy(arguments))
    if not problems and (where := _differences(plain, result, **_TOLERANCE)):
        problems.append(f"{name} differs under jax.jit in {where}")
    return problems


def _check_batched(env: Any, reset: Callable, step: Callable, key: Key) -> list[str]:
    keys = jax.random.split(key, 3)
    actions = jnp.stack([sample_action(env.action_space, key) for key in keys])
    starts = [reset(key) for key in keys]
    alone = [step(key, start[0], a) for key, start, a in zip(keys, starts, actions, strict=True)]

    problems, batch = _call(jax.jit(jax.vmap(env.reset)), "reset under jax.vmap", keys)
    if not problems and (where := _differences(_stack(starts), batch, **_TOLERANCE)):
        problems.append(f"reset differs under jax.vmap from one call at a time in {where}")
    arguments = (keys, _stack([state for state, _ in starts]), actions)
    failed, batch = _call(jax.jit(jax.vmap(env.step)), "step under jax.vmap", *arguments)
    problems += failed
    if not failed and (where := _differences(_stack(alone), batch, **_TOLERANCE)):
        problems.append(f"step differs under jax.vmap from one call at a time in {where}")
    return problems


def _check_run(env: Any, reset: Callable, step: Callable, key: Key, num_steps: int) -> list[str]:
    state, _ = reset(key)
    for i in range(num_steps):
        key_step, key_action, key_reset = jax.random.split(jax.random.fold_in(key, i), 3)
        state, timestep = step(key_step, state, sample_action(env.action_space, key_action))
        if problems := _check_values(env, timestep):
            return [f"{problem} (step {i + 1})" for problem in problems]
        if timestep.done and not isinstance(env, AutoReset):
            state, _ = reset(key_reset)
    return []


def _check_values(env: Any, timestep: TimeStep) -> list[str]:
    problems = []
    for name in ("obs", "reward", "last_obs"):
        problems += _check_finite("step", f"TimeStep.{name}", getattr(timestep, name))
    if timestep.discount not in (0.0, 1.0):
        problems.append(
            f"step: TimeStep.discount is {float(timestep.discount):g}; it is 0 where the episode "
            "terminated, else 1 (agents bring their own discount factor)"
        )
    if timestep.truncated and timestep.discount == 0:
        problems.append(
            "step: TimeStep is truncated and terminated (discount 0) at once; an episode that "
            "came to its own end is not truncated"
        )
    if not isinstance(env, AutoReset) and _differences(timestep.obs, timestep.last_obs):
        problems.append(
            "step: TimeStep.obs differs from TimeStep.last_obs; a raw environment does not reset "
            "itself, AutoReset does"
        )
    return problems


def _check_finite(method: str, name: str, value: Array) -> list[str]:
    return [] if np.isfinite(value).all() else [f"{method}: {name} is not finite"]


# Words --------------------------------------------------------------------------------------


def _differences(a: PyTree, b: PyTree, rtol: float = 0.0, atol: float = 0.0) -> str:
    """Where two results of the same calls differ, by field; empty if nowhere."""
    if not _same_structure(a, b):
        return "the structure"
    pairs = zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True)
    return ", ".join(
        _field(path)
        for (path, x), y in pairs
        if np.shape(x) != np.shape(y)
        or not np.allclose(_plain(x), _plain(y), rtol=rtol, atol=atol, equal_nan=True)
    )


def _same_structure(a: PyTree, b: PyTree) -> bool:
    structure: Any = jax.tree.structure(a)
    return bool(structure == jax.tree.structure(b))


def _field(path: tuple[Any, ...]) -> str:
    """A leaf of (state, obs) or (state, TimeStep), by name."""
    names = jax.tree_util.keystr(path)
    for prefix, name in (("[0]", "state"), ("[1].", "TimeStep."), ("[1]", "obs")):
        if names.startswith(prefix):
            return name + names.removeprefix(prefix)
    return names.removeprefix(".") or "its value"


def _plain(leaf: Any) -> np.ndarray:
    is_key = jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _copy(tree: PyTree) -> PyTree:
    """The same arrays in new containers: what a stranger's code changes is not the original."""
    return jax.tree.map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, tree)


def _stack(trees: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _type(value: Any) -> str:
    return f"{jnp.result_type(value)} {list(jnp.shape(value))}"


def _describe(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]

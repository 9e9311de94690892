"""All that drives agents, once: the loop itself (from `loop`) and runs that outlive their process.

    run         n steps as a pure function: jit it, vmap it
    train       chunks of compiled steps on all devices, with hooks between them
    sweep       many configs and seeds as one program; `grid` lays out the configs
    evaluate    how good is this policy?

What should outlive its process has a run directory (`run.json`, `metrics.jsonl`, `checkpoints/`,
`LOCK`):

    train_run    creates a run or goes on with it, exactly where it stopped
    resume       goes on with a run, knowing nothing but its directory
    load_policy  the policy a run has learned
    load_state   all that a run has learned
    describe     what a run is
"""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from rlax_pref import checkpoints
from rlax_pref.types import Agent, Env, Policy, TrainState

from . import hooks as hooking
from . import loop
from .loop import compile_chunk, evaluate, grid, init, make_mesh, run, shardings, sweep, train

__all__ = [
    "RunError",
    "compile_chunk",
    "describe",
    "evaluate",
    "grid",
    "init",
    "load_policy",
    "load_state",
    "make_mesh",
    "resume",
    "run",
    "shardings",
    "sweep",
    "train",
    "train_run",
]


class RunError(RuntimeError):
    """A run directory is not what is asked of it; the message says what to do."""


def train_run(
    directory: str | os.PathLike[str],
    agent: Agent,
    num_steps: int,
    *,
    seed: int = 0,
    description: Mapping[str, Any] | None = None,
    every: int = 10,
    save_every: int | None = None,
    keep: int = 3,
    metric: str = "return",
    mesh: Mesh | None = None,
    hooks: Sequence[hooking.Hook] = (),
    progress: bool = True,
    tensorboard: bool = False,
    keep_programs: bool = False,
) -> TrainState:
    """Trains in a run directory, from its newest sound checkpoint where it has one.

    Stopped and called again, it computes bit for bit what it would have computed unstopped (on
    the same devices). SIGTERM and SIGINT save at the end of the running chunk; the process then
    ends with status 143 or 130. However it dies, no more is lost than the work since the last
    checkpoint: `save_every` steps, rounded up to whole chunks.

    Args:
      directory: the run directory; made where missing.
      agent: what to train.
      num_steps: agent steps in all. A finished run goes on if this is raised.
      seed: of the run.
      description: what is trained: `agent` and `env`, their names; `config`, the agent's settings,
        a mapping or a dataclass; `env_settings` and `data`, the path of a file, if any. With it,
        `resume` and `load_policy` need no more than the directory. It is saved in `run.json`.
      every: agent steps per chunk.
      save_every: agent steps between two checkpoints; `10 * every` by default.
      keep: how many of the newest checkpoints stay, the best besides.
      metric: decides which checkpoint is the best.
      mesh: devices to spread environments over; all by default.
      hooks: called after each chunk, before the log and after `hooks.Finite`.
      progress: whether to draw progress on stderr.
      tensorboard: whether to log for TensorBoard besides `metrics.jsonl`.
      keep_programs: whether other processes may begin with what this one compiles and trace
        nothing, where they run what is described alike. So the description must say all of agent
        and environment that the files of modules do not. Needs JAX's compilation cache; see
        `compilation.enable_cache`.

    Returns:
      The state reached.

    Raises:
      RunError: the directory holds another run; the message names the difference.
      CheckpointError: it is in use, cannot be written, or has no sound checkpoint.
      FloatingPointError: a metric is no longer finite; what was saved before it stays.
      ValueError: the environments cannot be split over the devices.
      SystemExit: a signal asked to stop, and the state is saved.
    """
    mesh = make_mesh() if mesh is None else mesh
    save_every = 10 * every if save_every is None else save_every
    identity = _to_json(dict(description or {}) | {"seed": seed})
    schedule: dict[str, Any] = dict(
        num_steps=num_steps, every=every, save_every=save_every, keep=keep, metric=metric
    )
    key = jax.random.key(seed)
    kept_as = _program_name(identity, every) if keep_programs else None
    programs = None if kept_as is None else loop.find_programs(kept_as, mesh)
    # Before anything is written: it may be refused.
    like = loop.like(agent, key, mesh) if programs is None else programs.like
    with ExitStack() as stack:
        interrupt = stack.enter_context(hooking.Interrupt())
        saved = stack.enter_context(checkpoints.Checkpoints(directory, keep=keep, config=identity))
        _begin(Path(directory), identity, schedule)
        if saved.steps:
            step, state = saved.restore(like)
            chunk = compile_chunk(agent, mesh, every) if programs is None else programs.chunk
        else:
            if programs is None:
                programs = loop.compile_programs(agent, key, mesh, every, kept_as)
            step, state, chunk = 0, programs.init(key), programs.chunk
        after: list[hooking.Hook] = [hooking.Finite(), *hooks]
        after.append(
            stack.enter_context(hooking.MetricsLog(directory, step=step, tensorboard=tensorboard))
        )
        if progress:
            after.append(stack.enter_context(hooking.Progress(num_steps)))
        after.append(
            hooking.Checkpointing(
                saved, every=save_every, total=num_steps, metric=metric, interrupt=interrupt
            )
        )
        try:
            return loop.drive(chunk, state, num_steps, every=every, hooks=after)
        except hooking.Interrupted as stop:
            stack.close()
            print(f"rlax_pref: {directory}: {stop}", file=sys.stderr)
            raise SystemExit(128 + stop.number) from None


def resume(
    directory: str | os.PathLike[str], num_steps: int | None = None, **options: Any
) -> TrainState:
    """Goes on with a run that was described when it began.

    Args:
      directory: the run directory.
      num_steps: agent steps in all; by default as many as were asked for last.
      **options: of `train_run`, where they should differ.

    Returns:
      The state reached.

    Raises:
      RunError: there is no such run.
    """
    about = describe(directory)
    names = ("seed", "every", "save_every", "keep", "metric")
    settings = {name: about[name] for name in names}
    given = {name: about[name] for name in about.keys() - settings.keys() - _OWN}
    _, agent = _build(about, start_from=about.get("start_from"))
    num_steps = about["num_steps"] if num_steps is None else num_steps
    return train_run(directory, agent, num_steps, description=given, **(settings | options))


def load_policy(
    directory: str | os.PathLike[str],
    *,
    agent: Agent | None = None,
    env: Env | None = None,
    which: checkpoints.Which = "latest",
) -> Policy:
    """Loads the policy that a run has learned: `init(key) -> memory`, `act(memory, obs, key)`.

    Args:
      directory: the run directory; it may be in use.
      agent: the agent, if the run was not described or should not be built from its description.
      env: its environment, likewise.
      which: the `"latest"` checkpoint, the `"best"`, or the one of some agent step.

    Raises:
      RunError: there is no such run.
      CheckpointError: nothing is saved yet, nothing is sound, or the agent is another one.
    """
    if agent is None:
        _, agent = _build(describe(directory), env)
    return agent.policy(load_state(directory, agent=agent, which=which).learner)


def load_state(
    directory: str | os.PathLike[str],
    *,
    agent: Agent | None = None,
    which: checkpoints.Which = "latest",
) -> TrainState:
    """Loads a checkpoint of a run; arguments and errors are those of `load_policy`."""
    about = describe(directory)
    if agent is None:
        _, agent = _build(about)
    like = jax.eval_shape(loop.born(agent), jax.random.key(about["seed"]))
    return checkpoints.restore(directory, like, which=which)[1]


def describe(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """What a run directory says of itself: its `run.json`.

    Raises:
      RunError: there is no such run.
    """
    path = Path(directory) / "run.json"
    try:
        return _from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        raise RunError(f"no run in {directory}: it has no run.json") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _program_name(identity: Mapping[str, Any], every: int) -> str | None:
    """What the programs of a run are known by; None if they hold more than its description says."""
    if (
        not {"agent", "env"} <= identity.keys()
        or {"data", "env_settings", "start_from"} & identity.keys()
    ):
        return None
    about = {name: identity.get(name) for name in ("agent", "env", "config")}
    return json.dumps(about | {"every": every}, sort_keys=True)


_OWN = frozenset(("num_steps", "versions"))  # in run.json, and not part of what the run is


def _begin(directory: Path, identity: dict[str, Any], schedule: dict[str, Any]) -> None:
    """Writes `run.json`, or checks that what is there is the same run."""
    path = directory / "run.json"
    if path.exists():
        before = _to_json(describe(directory))
        ours = before.keys() - schedule.keys() - _OWN
        changes = _changes({name: before[name] for name in ours}, identity)
        if changes:
            raise RunError(
                f"{directory} holds another run: {changes[0]}. "
                "Go on with it as it was, or choose another directory"
            )
    if jax.process_index() == 0:
        content = identity | schedule | {"versions": checkpoints.versions()}
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
        fresh.replace(path)


def _changes(before: Any, now: Any, name: str = "") -> list[str]:
    """Where two JSON values differ, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        prefix = f"{name}." if name else ""
        return [
            change
            for key in sorted(before.keys() | now.keys())
            for change in _changes(before.get(key), now.get(key), f"{prefix}{key}")
        ]
    return [] if before == now else [f"{name} was {before!r} there and is {now!r} now"]


def _build(
    about: Mapping[str, Any], env: Env | None = None, *, start_from: str | None = None
) -> tuple[Env, Agent]:
    """Makes environment and agent from their names."""
    from rlax_pref import agents, envs

    if "agent" not in about or (env is None and "env" not in about):
        raise RunError("this run has no description of its agent and env: pass the agent")
    if env is None:
        env = envs.make(about["env"], **about.get("env_settings", {}))
    given = about.get("config"), about.get("data"), start_from
    return env, agents.make(about["agent"], env, *given)


_NUMBERS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}  # which JSON has no words for


def _to_json(value: Any) -> Any:
    """Makes JSON of settings: dataclasses as mappings, numbers that are not finite as words."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _to_json(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(x) for x in value]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _to_json(value.tolist())
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(value: Any) -> Any:
    """Undoes what `_to_json` does to numbers."""
    if isinstance(value, dict):
        return {name: _from_json(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_from_json(x) for x in value]
    return _NUMBERS.get(value, value) if isinstance(value, str) else value

"""What happens between two chunks of training: drawing progress, logging, evaluating, saving.

A hook is a function `hook(state, metrics)`, called with the state after a chunk and with what its
steps reported, stacked as NumPy arrays `[n]`. It may return more metrics, single numbers, for
the hooks after it. The state is given back to the device afterwards, so a hook must not keep it.

By convention an agent reports per step
  env_steps         how many steps it took in environments: the same number every time
  episodes          how many episodes ended
  return, length    means over those episodes, NaN where none ended
and whatever else it likes, to be averaged.
"""

import datetime
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from rlax_pref.checkpoints import Checkpoints
from rlax_pref.types import Env, Key, Policy, TrainState

from .loop import evaluate

Hook = Callable[[TrainState, dict[str, Any]], Mapping[str, Any] | None]


def summary(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """One number for each metric of a chunk.

    Args:
      metrics: by name, `[n]` over the steps of the chunk, or a single number from a hook.

    Returns:
      `episodes` summed; `return`, `length` and what ends in `_return` or `_length` averaged over
      the episodes that ended, None if none did; all else averaged over the steps. None stands
      for what is not a finite number. `env_steps`, which only counts, is left out.
    """
    episodes = np.asarray(metrics.get("episodes", 1.0), np.float64)

    def one(name: str, x: np.ndarray) -> float:
        if name == "episodes":
            return x.sum()
        if name.endswith(("return", "length")) and x.ndim:
            weight = np.broadcast_to(episodes, x.shape)
            total = np.where(weight > 0, weight * x, 0.0).sum()
            return total / weight.sum() if weight.sum() else math.nan
        return x.mean()

    names = sorted(metrics.keys() - {"env_steps"})
    numbers = {name: float(one(name, np.asarray(metrics[name], np.float64))) for name in names}
    return {name: x if math.isfinite(x) else None for name, x in numbers.items()}


def env_steps(state: TrainState, metrics: Mapping[str, Any]) -> int:
    """Steps taken in environments since the run began; an agent's own steps if it says nothing."""
    return int(state.step) * int(np.ravel(metrics.get("env_steps", 1))[-1])


class Due:
    """Says after which chunks something that comes around every so many steps is due.

    It depends on the step and the chunk alone, so a resumed run keeps to the same rhythm.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every={every}: must be at least 1 step")
        self.every = every

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> bool:
        """Whether a multiple of `every` lies within the chunk."""
        after = int(state.step)
        before = after - next((len(x) for x in metrics.values() if np.ndim(x)), 1)
        return after // self.every > before // self.every


class Progress:
    """Draws how far training is, its speed, the return and the time left, on stderr.

        with hooks.Progress(num_steps) as progress:
            runner.train(agent, key, num_steps, hooks=[progress])

    A bar in a terminal, otherwise a plain line every few seconds. The speed leaves out the first
    chunk, which is compiled.

    Args:
      total: agent steps in all.
      seconds: at most one plain line in this many.
      terminal: whether to draw a bar; by default, whether stderr is a terminal.
    """

    def __init__(self, total: int, *, seconds: float = 5.0, terminal: bool | None = None) -> None:
        self._total = total
        self._seconds = seconds
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._bar: Any = None
        self._first: tuple[float, int] | None = None  # when, and at which env step, speed begins
        self._said = -math.inf
        self._return: float | None = None

    def __enter__(self) -> "Progress":
        if self._terminal and jax.process_index() == 0:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = BarColumn(), TextColumn("{task.percentage:3.0f}%  {task.description}")
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.add_task("compiling", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """Draws."""
        if jax.process_index() != 0:
            return
        now, step, done = time.monotonic(), int(state.step), env_steps(state, metrics)
        last = summary(metrics).get("return")
        self._return = self._return if last is None else last
        line = self._line(now, step, done)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, description=line)
        elif now - self._said >= self._seconds or step >= self._total:
            self._said = now
            print(f"{100 * step // max(self._total, 1):3d}%  {line}", file=sys.stderr, flush=True)

    def _line(self, now: float, step: int, done: int) -> str:
        parts = [f"{done:,} steps"]
        if self._first is None:
            self._first = now, done
        elif now > self._first[0] and done > self._first[1]:
            speed = (done - self._first[1]) / (now - self._first[0])
            left = (self._total - step) * (done / max(step, 1)) / speed
            parts.append(f"{speed:,.0f} steps/s" if speed >= 10 else f"{speed:.3g} steps/s")
            parts.append(f"{datetime.timedelta(seconds=round(left))} left")
        if self._return is not None:
            parts.insert(1, f"return {self._return:.4g}")
        return "  ".join(parts)


class MetricsLog:
    """Appends one JSON line a chunk to `metrics.jsonl`: see `summary` for what a number means.

    Each line has `step` (of the agent), `env_steps`, `seconds` of training so far and the
    metrics of the chunk, null where there is none. Lines reach the file at once, so a crash loses
    no more than the running chunk.

    Args:
      directory: the run directory.
      step: where training begins. Lines after it, of work that was lost, are dropped, so that no
        step is logged twice.
      tensorboard: whether to write event files to `directory/tensorboard` as well.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, step: int = 0, tensorboard: bool = False
    ) -> None:
        self.path = Path(directory) / "metrics.jsonl"
        self._step = step
        self._tensorboard = tensorboard
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> "MetricsLog":
        if jax.process_index() != 0:
            return self
        rows = [row for row in read_metrics(self.path) if row["step"] <= self._step]
        self._begun = time.monotonic() - (rows[-1]["seconds"] if rows else 0.0)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".tmp")
        fresh.write_text("".join(json.dumps(row) + "\n" for row in rows))
        fresh.replace(self.path)
        self._file = self.path.open("a")
        if self._tensorboard:
            from tensorboardX import SummaryWriter

            where = str(self.path.parent / "tensorboard")
            purge = rows[-1]["env_steps"] + 1 if rows else None
            self._writer = SummaryWriter(where, purge_step=purge)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._file, self._writer):
            if one is not None:
                one.close()
        self._file = self._writer = None

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """Writes a line."""
        if self._file is None:
            return
        numbers = summary(metrics)
        row = {
            "step": int(state.step),
            "env_steps": env_steps(state, metrics),
            "seconds": round(time.monotonic() - self._begun, 3),
        }
        self._file.write(json.dumps(row | numbers) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, x in numbers.items():
                if x is not None:
                    self._writer.add_scalar(name, x, row["env_steps"])
            self._writer.flush()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last one that a crash cut short is left out."""
    try:
        lines = Path(path).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Evaluation:
    """Lets the policy act for itself: reports `eval_return`, `eval_length` and `eval_finished`.

    It has a key of its own, so training is the same with it and without, however often it comes.

    Args:
      env: the environment, which does not reset itself.
      policy: `learner -> Policy`; an agent's own is `agent.policy`.
      key: from which each evaluation's key is derived, by step.
      every: agent steps between two evaluations.
      num_episodes: episodes of one evaluation.
      max_steps: after which an episode is left unfinished, with the return it had.
    """

    def __init__(
        self,
        env: Env,
        policy: Callable[[Any], Policy],
        key: Key,
        *,
        every: int,
        num_episodes: int = 16,
        max_steps: int = 1000,
    ) -> None:
        self._due = Due(every)
        self._key = key

        def evaluated(learner: Any, key: Key) -> dict[str, jax.Array]:
            episodes = evaluate(env, policy(learner), key, num_episodes, max_steps)
            return {f"eval_{name}": x.mean() for name, x in episodes.items()}

        self._evaluate = jax.jit(evaluated)

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Evaluates, if it is time."""
        if not self._due(state, metrics):
            return None
        key = jax.random.fold_in(self._key, int(state.step))
        return {name: float(x) for name, x in self._evaluate(state.learner, key).items()}


class Finite:
    """Stops training when a metric is no longer a finite number, before that state is saved."""

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """Looks at all metrics but those that are NaN where no episode ended.

        Raises:
          FloatingPointError: naming the metric and the step.
        """
        for name, x in metrics.items():
            if not name.endswith(("return", "length")) and not np.isfinite(x).all():
                raise FloatingPointError(f"{name} is not finite at step {int(state.step)}")


class Interrupted(Exception):
    """A signal asked to stop, and the state is saved."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} at step {step}, which is saved")
        self.number = number


class Interrupt:
    """While entered, SIGTERM and SIGINT are noted instead of killing; a second one kills.

    Outside the main thread, where signals cannot be caught, it does nothing.
    """

    def __init__(self) -> None:
        self._number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note) or signal.SIG_DFL
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        signal.signal(number, self._before[number])
        if os.isatty(2):  # written past `print`, which a signal may have come in the midst of
            os.write(2, b"\nrlax_pref: stopping after this chunk; once more stops at once\n")

    def received(self) -> int:
        """The signal noted, 0 if none. With several processes, noted by any, the same for all."""
        if jax.process_count() > 1:
            return int(multihost_utils.process_allgather(np.asarray(self._number)).max())
        return self._number


class Checkpointing:
    """Saves the state every so many steps, and at once when a signal asks to stop.

    Args:
      checkpoints: where; entered already.
      every: agent steps between two checkpoints, and so the most work that can be lost.
      total: agent steps in all, after which the state is saved too.
      metric: which metric of the chunk that ends there decides which checkpoint is the best.
      interrupt: if given, raises `Interrupted` once it has noted a signal and the state is saved.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        *,
        every: int,
        total: int,
        metric: str = "return",
        interrupt: Interrupt | None = None,
    ) -> None:
        self._checkpoints = checkpoints
        self._due = Due(every)
        self._total = total
        self._metric = metric
        self._interrupt = interrupt

    def __call__(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """Saves, if it is time.

        Raises:
          CheckpointError: if it cannot be saved.
          Interrupted: if a signal asked to stop; the state is saved.
        """
        step = int(state.step)
        number = self._interrupt.received() if self._interrupt else 0
        if number or step >= self._total or self._due(state, metrics):
            self._checkpoints.save(step, state, metric=summary(metrics).get(self._metric))
        if number:
            raise Interrupted(number, step)

"""Reinforcement learning from rewards, advantages, values and human preferences, in JAX.

Each folder answers one question, and its contents page lists the methods:

  advantages    how much better was this action?
  values        what should the critic learn?
  policies      which way should the policy move?
  preferences   how do people choose between segments?
  rewards       what is rewarded?
  models        what comes next?
  metrics       how good is it?
  datasets      what did people say, and what was done before? (readers of published files)
  envs          where does it act?
  agents        whole training methods, and the runner that drives them all

What they share: `types`, `networks`, `statistics`, `recurrences`, `tabular` (finite processes,
solved exactly) and `checkpoints`; of experience, `buffers`, `priorities`, `transitions`, `goals`,
`histograms` and `gradients`; of responses, `tokens` (under a mask), `sampling`, `reading` and
`vocabulary` (of large ones, in little memory); of chains of noise, `denoising`. What makes a
program of it: `quickstart` (from choices to a trained policy, a good place to start reading),
`cli`, `plots`, `index`, `names` and `compilation`. Nothing is imported before it is used, so
`import rlax_pref` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlax_pref import (
        advantages,
        agents,
        buffers,
        checkpoints,
        datasets,
        denoising,
        envs,
        goals,
        gradients,
        histograms,
        metrics,
        models,
        networks,
        policies,
        preferences,
        priorities,
        reading,
        recurrences,
        rewards,
        sampling,
        statistics,
        tabular,
        tokens,
        transitions,
        types,
        values,
        vocabulary,
    )
    from rlax_pref.agents.runner import load_policy

__version__ = "0.1.0"

__all__ = [
    "advantages",
    "agents",
    "buffers",
    "checkpoints",
    "datasets",
    "denoising",
    "envs",
    "goals",
    "gradients",
    "histograms",
    "load_policy",
    "metrics",
    "models",
    "networks",
    "policies",
    "preferences",
    "priorities",
    "reading",
    "recurrences",
    "rewards",
    "sampling",
    "statistics",
    "tabular",
    "tokens",
    "transitions",
    "types",
    "values",
    "vocabulary",
]


def __getattr__(name: str) -> Any:
    if name == "load_policy":
        return importlib.import_module("rlax_pref.agents.runner").load_policy
    if name in __all__:
        return importlib.import_module(f"rlax_pref.{name}")
    raise AttributeError(f"module 'rlax_pref' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

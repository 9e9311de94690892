"""Whole training methods: each `make(env, config)` returns one pure `Agent(init, step, policy)`.

  ppo      proximal policy optimisation
  trpo     trust region policy optimisation
  vmpo     on-policy maximum a posteriori optimisation
  awr      advantage-weighted regression, on policy

  dqn      deep Q-networks and what was put on top of them: rainbow
  sac      soft actor-critic
  td3      twin delayed deterministic policy gradients: td3_bc
  mr_q     features that foresee, then TD3, for any kind of action

  stock_dqn  deep Q-networks for what the whole return is for, such as its worst share

  imitation  from what is given, the more what turned out well: iql, xql, awac, odice,
             behaviour_cloning
  cql        values held back where data are silent: cal_ql, discrete_cql
  ravl       the least of many critics, on short rollouts of a model
  digi_q     the best of several proposals, as critics see them
  hiql       goals by way of subgoals, from what is given: ota
  icvf       values of what is wanted, from data without actions: features to begin with

  decision_transformer  asked for a return, does what led to it

  preference_segments  from choices between segments of behaviour: cpl, cpl_kl, ipl, segment_bc

  denoising  policies that denoise, from preferences between actions: d3po, prdp, dragon ...

  tokens             policies of tokens, from their own responses: grpo, rloo, spo, a_star_po ...
  offline_tokens     the same from responses that are there already: a_lol, oreo, ilql ...
  preference_tokens  the same from preferences between responses: dpo, kto, simpo, raft, dno ...

`make(name, env)` knows all of them, each method under its own name.

Beside them: `runner` (the one loop that drives, logs, saves, evaluates and spreads them all),
`on_policy` (what the first four share), `off_policy` (what agents that learn from stored steps
share, online and offline) and `learning` (what their methods are made of), `fitted_q` (what a
policy earns, of others' steps), `hindsight` (what those share that draw goals from them),
`pretraining` (agents that begin with what another learned), `steering` (policies among whose
actions a critic chooses), `acting` (stepping many environments with a tally of episodes),
`selecting` (sample, score, select, learn: the loop of preferences between samples),
`preference_losses` (what it minimises of responses), `responding` (what agents of tokens share) and
`configs` (what can be chosen).
"""

import dataclasses
import importlib
import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlax_pref.names import lookup

from .configs import AGENTS, OffPolicy, PreferenceSegments, PreferenceTokens

if TYPE_CHECKING:
    from rlax_pref.types import Agent, Env

    from . import (
        acting,
        awr,
        configs,
        cql,
        decision_transformer,
        denoising,
        digi_q,
        dqn,
        fitted_q,
        hindsight,
        hiql,
        hooks,
        icvf,
        learning,
        mr_q,
        off_policy,
        offline_tokens,
        on_policy,
        ppo,
        preference_losses,
        preference_segments,
        preference_tokens,
        pretraining,
        ravl,
        responding,
        runner,
        sac,
        selecting,
        steering,
        stock_dqn,
        td3,
        tokens,
        trpo,
        vmpo,
    )

__all__ = [
    "AGENTS",
    "acting",
    "awr",
    "config_from",
    "configs",
    "cql",
    "decision_transformer",
    "denoising",
    "digi_q",
    "dqn",
    "fitted_q",
    "hindsight",
    "hiql",
    "hooks",
    "icvf",
    "imitation",
    "learning",
    "make",
    "mr_q",
    "off_policy",
    "offline_tokens",
    "on_policy",
    "ppo",
    "preference_losses",
    "preference_segments",
    "preference_tokens",
    "pretraining",
    "ravl",
    "responding",
    "runner",
    "sac",
    "selecting",
    "steering",
    "stock_dqn",
    "td3",
    "tokens",
    "trpo",
    "vmpo",
]


def config_from(name: str, values: Mapping[str, Any]) -> Any:
    """Builds the config of an agent, a pytree, from plain values, such as a saved run's.

    Raises:
      ValueError: the agent or one of its settings is unknown.
    """
    cls = lookup(AGENTS, name, "agent")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        lookup(fields, key, f"setting of {name}")
    importlib.import_module(f"{__name__}.{getattr(cls, 'module', name)}")  # makes a pytree of it
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def make(
    name: str,
    env: "Env",
    config: Any = None,
    data: Any = None,
    start_from: "str | os.PathLike[str] | None" = None,
) -> "Agent":
    """Makes an agent by name: `make("ppo", env)`, with a config or a mapping of its settings.

    Args:
      name: one of `AGENTS`.
      env: where it acts.
      config: its settings.
      data: what it learns from, of agents whose own `make` takes some; of those that learn from
        stored steps or from choices between segments also the path of a file of them, see
        `datasets.load_transitions` and `load_preferences`.
      start_from: the directory of a run whose networks it begins with; see `pretraining`.

    Raises:
      ValueError: the name or a setting is unknown, the settings do not fit together, or the agent
        does not learn from such data.
      DataError: the file cannot be read; names file, field and fix.
    """
    if config is None or isinstance(config, Mapping):
        config = config_from(name, config or {})
    module = getattr(lookup(AGENTS, name, "agent"), "module", name)
    build = importlib.import_module(f"{__name__}.{module}").make
    if start_from is not None:
        if not isinstance(config, OffPolicy):
            raise ValueError(f"{name} does not start from a run; what does: {_able()}")
        from . import pretraining

        return pretraining.start_from(make(name, env, config, data), config, start_from)
    if data is None:
        return build(env, config)
    if isinstance(data, str | os.PathLike):
        data = _load(name, env, config, data)
    elif "data" not in inspect.signature(build).parameters:
        raise ValueError(f"{name} learns from what it does itself, and takes no data")
    return build(env, config, data)


def _load(name: str, env: "Env", config: Any, path: "str | os.PathLike[str]") -> Any:
    """What an agent can learn from that is in a file."""
    from rlax_pref import datasets

    if isinstance(config, OffPolicy):
        return datasets.load_transitions(path, env).data
    if isinstance(config, PreferenceSegments):
        return datasets.load_preferences(path, env).data
    if isinstance(config, PreferenceTokens):
        raise ValueError(f"{name} learns from a file of texts in the environment texts: choose it")
    raise ValueError(f"{name} does not learn from a file of steps; what does: {_able()}")


def _able() -> str:
    """Names of agents that learn from stored steps."""
    return ", ".join(name for name, cls in AGENTS.items() if issubclass(cls, OffPolicy))


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'rlax_pref.agents' has no attribute {name!r}")

"""Value-function pre-training, V-PTR (Bhateja et al., 2023, arXiv:2309.13041).

Three learners, of which each begins where the one before it stopped:

    1. `icvf` learns from data without actions what there is to want, and with it an encoder;
    2. an agent whose networks begin with this encoder, `start`, learns offline from many tasks;
    3. the same agent, `go_on`, learns from the few data of the task in question.

The paper's second agent is `cql`; here it may be any with the setting `encoder`. Data of several
tasks tell them apart by numbers at the end of each observation, which the encoder does not see:
`encoder_inputs`. Of the command line `train AGENT --start-from RUN` is phase 2 where the run is one
of `icvf`, and phase 3 where it is one of the same agent.
"""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref.types import Agent, PyTree, TrainState

from . import config_from, runner
from .configs.goals import ICVF
from .configs.off_policy import Encoded
from .learning import Learner


def settings(config: ICVF) -> dict[str, Any]:
    """What an agent has to be told of an encoder that was learned with this config."""
    return {
        "encoder": (*config.hidden, config.num_features),
        "encoder_activation": config.activation,
    }


def start(state: TrainState, encoder: PyTree) -> TrainState:
    """An agent's state, with this encoder in each of its networks and of their slow copies.

    Args:
      state: as the agent begins.
      encoder: parameters, of `icvf`: `learner.params["value"]["state"]`.

    Raises:
      ValueError: no network has an encoder, or it is another one; the message names what differs.
    """
    num = _num_inputs(encoder)

    def graft(nets: Mapping[str, PyTree], where: str) -> dict[str, PyTree]:
        for name, net in nets.items():
            if _begins_with_encoder(net) and (here := _num_inputs(net["encoder"])) != num:
                raise ValueError(
                    f"{where}[{name!r}] encodes {here} numbers of an observation, and what it "
                    f"should begin with {num}: set encoder_inputs={num} (--encoder-inputs {num})"
                )
        return {
            name: net | {"encoder": _take(f"{where}[{name!r}]", net["encoder"], encoder)}
            if _begins_with_encoder(net)
            else net
            for name, net in nets.items()
        }

    learner: Learner = state.learner
    if not any(map(_begins_with_encoder, learner.params.values())):
        raise ValueError(
            f"no network among {', '.join(learner.params)} begins with an encoder: set `encoder`"
        )
    learner = learner._replace(
        params=graft(learner.params, "params"), target=graft(learner.target, "target")
    )
    return state._replace(learner=learner)


def go_on(state: TrainState, before: Learner) -> TrainState:
    """An agent's state, with all networks as they were learned from other data.

    Optimisers begin anew. Observations are seen in the units in which they were seen before.

    Args:
      state: as the agent begins with the new data.
      before: what the same agent learned.

    Raises:
      ValueError: it was another agent; the message names what differs.
    """
    learner: Learner = state.learner
    taken = {
        part: _take(part, getattr(learner, part), getattr(before, part))
        for part in ("params", "target", "obs")
    }
    return state._replace(learner=learner._replace(**taken))


def start_from(agent: Agent, config: Any, directory: str | os.PathLike[str]) -> Agent:
    """The agent, made to begin with what a run learned.

    Args:
      agent: one that learns from stored steps.
      config: its settings.
      directory: of a run of `icvf`, whose encoder is taken, or of the same agent.

    Raises:
      RunError: there is no such run.
      ValueError: encoders differ, or observations are normalised by one of the two alone.
    """
    about = runner.describe(directory)
    before = runner.load_state(directory).learner
    if about.get("agent") != "icvf":
        return agent._replace(init=lambda key: go_on(agent.init(key), before))
    learned = config_from("icvf", about["config"])
    if not isinstance(config, Encoded):
        raise ValueError(f"{type(config).__name__} has no networks that begin with an encoder")
    for name, value in settings(learned).items():
        if getattr(config, name) != value:
            raise ValueError(f"{name}={getattr(config, name)} must be {value}, as in {directory}")
    if config.normalize_obs or learned.normalize_obs:
        raise ValueError(
            "an encoder needs observations as it knows them: normalize_obs must be False in both"
        )
    encoder = before.params["value"]["state"]
    return agent._replace(init=lambda key: start(agent.init(key), encoder))


def _begins_with_encoder(net: PyTree) -> bool:
    return isinstance(net, Mapping) and "encoder" in net and "head" in net


def _num_inputs(encoder: PyTree) -> int | None:
    """Numbers that an encoder reads, if it begins as ours do."""
    kernel = encoder.get("Dense_0", {}).get("kernel")
    return None if kernel is None else kernel.shape[-2]


def _take(name: str, like: PyTree, given: PyTree) -> PyTree:
    """What is given, as often as it is asked for: `[...]` or, of an ensemble, `[num, ...]`."""
    if jax.tree.structure(like) != jax.tree.structure(given):  # type: ignore[operator]
        raise ValueError(
            f"{name} has other parts than what it should begin with: "
            f"{_shapes(like)} here, {_shapes(given)} there"
        )

    def one(like: Any, given: Any) -> Any:
        if like.shape != given.shape and like.shape[1:] != given.shape:
            raise ValueError(
                f"{name} has other shapes than what it should begin with: {like.shape} here, "
                f"{given.shape} there"
            )
        return jnp.broadcast_to(given, like.shape)

    return jax.tree.map(one, like, given)


def _shapes(tree: PyTree) -> str:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return ", ".join(f"{jax.tree_util.keystr(path)} {leaf.shape}" for path, leaf in leaves)

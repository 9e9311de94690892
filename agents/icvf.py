"""Intention-conditioned value functions (Ghosh et al., 2023, arXiv:2304.04782).

Value pre-training on data without actions, the part of V-PTR (Bhateja et al., 2023,
arXiv:2309.13041) that can be used again: `encode` turns states into what their values are linear
in. Nothing is learned of actions, and so it acts at random.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks, values
from rlax_pref.envs.check import sample_action
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, PyTree, Transition

from . import hindsight, learning, off_policy
from .configs.goals import ICVF as Config
from .hindsight import Move
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


class Batch(NamedTuple):
    """What is learned from rows of the data; `[B, ...]`."""

    valid_t: Array
    outcome: Move  # one step, for what may come of it
    intention: Move  # the same step, for what is wanted


def encode(config: Config, params: PyTree, state: Array) -> Array:
    """`[..., num_features]` of states `[..., D]`.

    Args:
      config: of the agent.
      params: `learner.params["value"]`, learned or as they begin.
      state: as the networks see it; see `hindsight.see`.
    """
    return _tower(config).apply(params["state"], state)


def value(config: Config, params: PyTree, state: Array, outcome: Array, intention: Array) -> Array:
    """How soon one comes from a state to an outcome, on the way to what is intended.

        V(s, g, z) = phi(s)^T T(z) psi(g)        T(z) = diag(t) M diag(t), t a function of psi(z)

    Args:
      config: of the agent.
      params: `learner.params["value"]`.
      state: `[..., D]`.
      outcome: `[..., D]`.
      intention: `[..., D]`.

    Returns:
      `[...]`, -1 for each step until the outcome, discounted.
    """
    tower = _tower(config)
    phi = tower.apply(params["state"], state)
    psi, wanted = (tower.apply(params["outcome"], x) for x in (outcome, intention))
    scale = tower.apply(params["intention"], wanted)
    return ((scale * phi) @ params["matrix"] * (scale * psi)).sum(-1)


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[2 D]`, a state and a goal, or
        anything `[num_state or more]`.
      config: see `configs.ICVF`.
      data: steps of whole trajectories, in the order in which they happened; `obs` is `[D]`, or
        more, of which what follows the state is not read. By default `warm_up` random actions.
        Actions and rewards are not read either.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment has no goals and `num_state` is not set, or settings do not fit
        together.
    """
    hint = ". Without goals, set num_state (--num-state) to how many numbers are of the state"
    num_state = hindsight.num_state("ICVF", env, config, config.num_state, hint)
    tower = _tower(config)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        keys = jax.random.split(key, 4)
        state = obs[..., :num_state]
        num = config.num_features
        start = {
            "state": tower.init(keys[0], state),
            "outcome": tower.init(keys[1], state),
            "intention": tower.init(keys[2], jnp.zeros((1, num))),
            "matrix": jax.random.normal(keys[3], (num, num)) / num,
        }
        return {"value": start}

    def read(learner: Learner, replay: buffers.Replay, row: Array, key: Key) -> Batch:
        key_outcome, key_intention, key_same = jax.random.split(key, 3)
        reader = hindsight.Reader(config, num_state, learner, replay.data, row)
        wanted = reader.draw(key_intention, config.p_current, config.p_trajectory).row
        other = reader.draw(key_outcome, config.p_current, config.p_trajectory).row
        same = jax.random.bernoulli(key_same, config.p_same, row.shape)
        return Batch(
            valid_t=hindsight.take(replay.data.step.valid_t, row),
            outcome=reader.step_to(jnp.where(same, wanted, other)),
            intention=reader.step_to(wanted),
        )

    def update(
        learner: Learner, data: Batch, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        slow, wanted = learner.target["value"], data.intention.goal

        def back_up(move: Move) -> Array:
            """What a step leads to, going for what is wanted."""
            v_t = value(config, slow, move.state_t, move.goal, wanted)
            return move.paid.r_t + config.discount * move.paid.goes_on * v_t

        target = back_up(data.outcome)
        advantage = back_up(data.intention)
        advantage -= value(config, slow, data.intention.state_tm1, wanted, wanted)
        average: Any = lambda x: learning.average(x, data, weight)  # type: ignore[arg-type]

        def loss(params: PyTree) -> tuple[Array, Array]:
            v = value(config, params, data.outcome.state_tm1, data.outcome.goal, wanted)
            each = values.icvf(v, target, advantage, config.expectile)
            return average(each), each

        learner, each = learning.descend(config, learner, "value", loss)
        learner = learning.follow(learner, "value", config.target_rate)
        report = {"value_loss": average(each), "value": average(target)}
        return learner, jnp.sqrt(each), report

    def policy(learner: Learner) -> Policy:
        return Policy(
            lambda key: (), lambda memory, obs, key: (memory, sample_action(env.action_space, key))
        )

    method = off_policy.Method(
        init,
        update,
        lambda learner, step: policy(learner),
        policy,
        targets=("value",),
        read=read,
        prepare=hindsight.prepare,
    )
    return off_policy.make(env, config, method, data)


def _tower(config: Config) -> networks.Network:
    return networks.mlp(
        config.hidden, config.num_features, layer_norm=True, **learning.kind(config)
    )

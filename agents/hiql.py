"""Hierarchical implicit Q-learning (Park et al., 2023, arXiv:2307.11949).

`configs.OTA` is the same with a second value, of options, behind the high policy (Ahn et al., 2025,
arXiv:2505.12737).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks, policies, values
from rlax_pref.types import (
    Agent,
    Array,
    Box,
    Discrete,
    Env,
    Key,
    Metrics,
    Policy,
    PyTree,
    Transition,
)

from . import hindsight, learning, off_policy
from .configs.goals import HIQL as Config
from .configs.goals import OTA
from .hindsight import Move
from .learning import Learner

for _config in (Config, OTA):
    jax.tree_util.register_dataclass(_config)
DEFAULT = Config()


class Batch(NamedTuple):
    """What is learned from rows of the data; `[B, ...]`."""

    valid_t: Array
    a_tm1: Array
    value: Move  # one step, for a goal of the value
    low: Move  # the same step, for a subgoal
    high: Move  # to a subgoal, for a goal of the high policy
    option: Move | None  # several steps as one, for a goal of their value


class Networks(NamedTuple):
    """Functions of parameters, and of states and goals `[..., D]`."""

    init: Any  # (key, state, subgoal, action) -> params, by name
    subgoal: Any  # (params["value"], state, goal) -> [..., num_features], as long as its root
    value: Any  # (params["value"] or ["option_value"], state, goal) -> [2, ...]
    low: Any  # (params["low"], state, subgoal) -> law of actions
    high: Any  # (params["high"], state, goal) -> [..., num_features], the mean of subgoals


def unit(x: Array) -> Array:
    """Vectors `[..., d]` as long as the root of d."""
    square = jnp.square(x).mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def make_networks(action_space: Discrete | Box, config: Config) -> Networks:
    """The networks of the agent."""
    join = lambda *x: jnp.concatenate(x, axis=-1)
    kind = learning.kind(config)
    encoder = networks.mlp(config.hidden, config.num_features, layer_norm=True, **kind)
    heads = networks.ensemble(networks.value(config.hidden, layer_norm=True, **kind), 2)
    tower = networks.mlp(config.hidden, config.num_features, **kind)
    actor = networks.policy(action_space, config.hidden, **kind)

    def subgoal(params: PyTree, state: Array, goal: Array) -> Array:
        return unit(encoder.apply(params["encoder"], join(state, goal)))

    def value(params: PyTree, state: Array, goal: Array) -> Array:
        return heads.apply(params["heads"], join(state, subgoal(params, state, goal)))

    def init(key: Key, state: Array) -> dict[str, PyTree]:
        name = jnp.zeros((*state.shape[:-1], config.num_features))

        def init_value(key: Key) -> PyTree:
            key_encoder, key_heads = jax.random.split(key)
            return {
                "encoder": encoder.init(key_encoder, join(state, state)),
                "heads": heads.init(key_heads, join(state, name)),
            }

        key_value, key_option, key_low, key_high = jax.random.split(key, 4)
        params = {
            "value": init_value(key_value),
            "low": actor.init(key_low, join(state, name)),
            "high": tower.init(key_high, join(state, state)),
        }
        return params | ({"option_value": init_value(key_option)} if config.option_steps else {})

    return Networks(
        init,
        subgoal,
        value,
        low=lambda params, state, subgoal: actor.apply(params, join(state, subgoal)),
        high=lambda params, state, goal: tower.apply(params, join(state, goal)),
    )


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[2 D]`, a state and a goal.
      config: see `configs.HIQL` and `configs.OTA`.
      data: steps of whole trajectories, in the order in which they happened; `obs` is `[D]`, or
        `[2 D]` of which the second half is not read. By default `warm_up` random actions. Their
        rewards are not read either.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: observations are no pairs, or settings do not fit together.
    """
    num_state = hindsight.num_state("HIQL", env, config)
    space = env.action_space
    nets = make_networks(space, config)
    value_names = ("value", "option_value") if config.option_steps else ("value",)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        return nets.init(key, obs[..., :num_state])

    def read(learner: Learner, replay: buffers.Replay, row: Array, key: Key) -> Batch:
        key_value, key_high, key_option = jax.random.split(key, 3)
        step = replay.data.step
        reader = hindsight.Reader(config, num_state, learner, replay.data, row)
        goal = reader.draw(key_value, config.p_current, config.p_trajectory)
        far_goal = reader.draw(key_high, 0.0, config.p_trajectory_high, far=True)
        option_goal = reader.draw(key_option, 0.0, config.p_trajectory_option)
        return Batch(
            valid_t=hindsight.take(step.valid_t, row),
            a_tm1=hindsight.take(step.a_tm1, row),
            value=reader.step_to(goal.row),
            low=reader.step_to(jnp.minimum(row + config.subgoal_steps, reader.end)),
            high=reader.option_to(far_goal, config.subgoal_steps),
            option=reader.option_to(option_goal, config.option_steps)
            if config.option_steps
            else None,
        )

    def improvement(params: PyTree, move: Move) -> Array:
        """What a move is worth, by the mean of the heads."""
        after = nets.value(params, move.state_t, move.goal).mean(0)
        return after - nets.value(params, move.state_tm1, move.goal).mean(0)

    def update(
        learner: Learner, data: Batch, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        average = lambda x: learning.average(x, data, weight)  # type: ignore[arg-type]

        def fit(learner: Learner, name: str, move: Move) -> tuple[Learner, Array]:
            target = learner.target[name]

            def loss(params: PyTree) -> tuple[Array, Array]:
                each = values.hiql(
                    nets.value(params, move.state_tm1, move.goal),
                    move.paid.r_t,
                    config.discount * move.paid.goes_on,
                    nets.value(target, move.state_tm1, move.goal),
                    nets.value(target, move.state_t, move.goal),
                    config.expectile,
                )
                return average(each), each

            learner, each = learning.descend(config, learner, name, loss)
            return learning.follow(learner, name, config.target_rate), each

        learner, each = fit(learner, "value", data.value)
        report = {"value_loss": average(each)}
        if data.option is not None:
            learner, of_options = fit(learner, "option_value", data.option)
            report["option_value_loss"] = average(of_options)

        value = learner.params["value"]
        low = improvement(value, data.low)
        high = improvement(learner.params[value_names[-1]], data.high)
        # Both policies are told of subgoals as the value names them.
        waypoint = nets.subgoal(value, data.low.state_tm1, data.low.goal)
        subgoal = nets.subgoal(value, data.high.state_tm1, data.high.state_t)

        def low_loss(params: PyTree) -> tuple[Array, None]:
            log_prob = nets.low(params, data.low.state_tm1, waypoint).log_prob(data.a_tm1)
            scaled = config.inverse_temperature_low * low
            return average(policies.awr(log_prob, scaled, 1.0, cap=100.0)), None

        def high_loss(params: PyTree) -> tuple[Array, None]:
            mean = nets.high(params, data.high.state_tm1, data.high.goal)
            log_prob = -0.5 * jnp.square(subgoal - mean).sum(-1)
            scaled = config.inverse_temperature_high * high
            return average(policies.awr(log_prob, scaled, 1.0, cap=100.0)), None

        learner, _ = learning.descend(config, learner, "low", low_loss)
        learner, _ = learning.descend(config, learner, "high", high_loss)
        report |= {"low_advantage": average(low), "high_advantage": average(high)}
        return learner, jnp.sqrt(each), report

    def policy(learner: Learner) -> Policy:
        params = learner.params

        def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
            state, goal = (
                hindsight.see(config, learner, x)
                for x in (obs[..., :num_state], obs[..., num_state:])
            )
            subgoal = unit(nets.high(params["high"], state, goal))
            law = nets.low(params["low"], state, subgoal)
            action = law.mode() if config.greedy else law.sample(seed=key)
            return memory, networks.to_env(space, action)

        return Policy(lambda key: (), act)

    method = off_policy.Method(
        init,
        update,
        lambda learner, step: policy(learner),
        policy,
        targets=value_names,
        read=read,
        prepare=hindsight.prepare,
    )
    return off_policy.make(env, config, method, data)

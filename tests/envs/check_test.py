"""check_env finds what is wrong, says it by name, and is silent about what is right."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import AutoReset, CartPole, Gymnax, Pendulum, check_env, delivery, random_grid
from rlax_pref.types import Box, Discrete, TimeStep


class State(NamedTuple):
    x: jax.Array
    time: jax.Array


class Walk:
    """A random walk that keeps the contract. Each environment below breaks it once."""

    action_space = Discrete(2)

    def reset(self, key):
        x = jax.random.normal(key, (2,))
        return State(x, jnp.int32(0)), x

    def step(self, key, state, action):
        x = state.x + (2 * action - 1) + 0.1 * jax.random.normal(key, (2,))
        time = state.time + 1
        lost = jnp.abs(x).max() > 4
        return State(x, time), self.timestep(x, lost, (time >= 5) & ~lost)

    def timestep(self, x, lost, late):
        return TimeStep(x, x.sum(), 1.0 - lost.astype(jnp.float32), late, x)


class NoStep:
    action_space = Discrete(2)
    reset = Walk.reset


class NoSpace(Walk):
    action_space = None


class SpaceOfNumpy(Walk):
    action_space = 2


class NoActions(Walk):
    action_space = Discrete(0)


class UpsideDown(Walk):
    action_space = Box(1.0, -1.0, (1,))


class OnlyObs(Walk):
    def reset(self, key):
        return super().reset(key)[1]


class DictObs(Walk):
    def reset(self, key):
        state, obs = super().reset(key)
        return state, {"position": obs}


class Raises(Walk):
    def step(self, key, state, action):
        raise KeyError("velocity")


class OldTuple(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        return state, timestep.obs, timestep.reward, timestep.done, {}


class BareTuple(Walk):
    def timestep(self, *args):
        return tuple(super().timestep(*args))


class StringState(Walk):
    def reset(self, key):
        state, obs = super().reset(key)
        return {"state": state, "name": "walk"}, obs


class PythonReward(Walk):
    def timestep(self, *args):
        return super().timestep(*args)._replace(reward=1.0)


class RewardPerCoordinate(Walk):
    def timestep(self, *args):
        return super().timestep(*args)._replace(reward=jnp.zeros(1))


class IntegerReward(Walk):
    def timestep(self, *args):
        return super().timestep(*args)._replace(reward=jnp.int32(1))


class BooleanDiscount(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost, late)._replace(discount=~lost)


class FloatTruncated(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost, late)._replace(truncated=late.astype(jnp.float32))


class ObsChangesShape(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost, late)._replace(obs=x[:1], last_obs=x[:1])


class LastObsForgotten(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost, late)._replace(last_obs=jnp.zeros(()))


class StateChangesType(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        return state._replace(time=state.time.astype(jnp.float32)), timestep


class StateGrows(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        return (state, timestep.reward), timestep


class DiscountIsGamma(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost, late)._replace(discount=jnp.float32(0.99))


class BothEnds(Walk):
    def timestep(self, x, lost, late):
        return super().timestep(x, lost | late, late)


class ResetsItself(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        start, obs = self.reset(key)
        state = jax.tree.map(lambda a, b: jnp.where(timestep.done, a, b), start, state)
        return state, timestep._replace(obs=jnp.where(timestep.done, obs, timestep.obs))


class Diverges(Walk):
    def timestep(self, x, lost, late):
        x = jnp.where(late, jnp.nan, x)
        return super().timestep(x, lost, late)


class OutsideChance(Walk):
    def reset(self, key):
        state, obs = super().reset(key)
        return state, obs + np.random.uniform()


class RemembersItself(Walk):
    count = 0

    def step(self, key, state, action):
        self.count += 1
        state, timestep = super().step(key, state, action)
        return state, timestep._replace(reward=jnp.float32(self.count))


class WritesIntoState(Walk):
    def reset(self, key):
        state, obs = super().reset(key)
        return {"inner": state}, obs

    def step(self, key, state, action):
        state["inner"], timestep = super().step(key, state["inner"], action)
        return state, timestep


class Branches(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        if state.x.sum() > 0:
            timestep = timestep._replace(reward=-timestep.reward)
        return state, timestep


class KnowsWhenCompiled(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        bonus = 1.0 if isinstance(state.x, jax.core.Tracer) else 0.0
        return state, timestep._replace(reward=timestep.reward + bonus)


class LooksAtTheBatch(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)

        @jax.custom_batching.custom_vmap
        def scale(reward):
            return reward

        @scale.def_vmap
        def scale_batch(size, batched, reward):
            return reward / size, True

        return state, timestep._replace(reward=scale(timestep.reward))


class FailsInABatch(Walk):
    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)

        @jax.custom_batching.custom_vmap
        def identity(x):
            return x

        @identity.def_vmap
        def identity_batch(size, batched, x):
            raise NotImplementedError("one at a time, please")

        return state, timestep._replace(reward=identity(timestep.reward))


BROKEN = [
    (NoStep, ["step is missing: define step(key, state, action) -> (state, TimeStep)"]),
    (NoSpace, ["action_space is missing: make it a types.Discrete or a types.Box"]),
    (SpaceOfNumpy, ["action_space must be a types.Discrete or types.Box, not 2"]),
    (NoActions, ["action_space: Discrete needs at least one action, not 0"]),
    (UpsideDown, ["action_space: Box needs low < high, not 1.0, -1.0"]),
    (OnlyObs, ["reset must return (state, obs), not a "]),
    (DictObs, ["reset: obs must be one array, not a dict"]),
    (Raises, ["step raised KeyError: 'velocity'"]),
    (OldTuple, ["step must return (state, TimeStep), not a tuple of 5"]),
    (BareTuple, ["step must return a types.TimeStep after the state, not a tuple of 5"]),
    (StringState, ["reset: state['name'] is a str, which JAX cannot carry; use arrays"]),
    (PythonReward, ["step: TimeStep.reward must be one array, not a float"]),
    (RewardPerCoordinate, ["step: TimeStep.reward is float32 [1], it must be float32 []"]),
    (IntegerReward, ["step: TimeStep.reward is int32 [], it must be float32 []"]),
    (BooleanDiscount, ["step: TimeStep.discount is bool [], it must be float32 []"]),
    (FloatTruncated, ["step: TimeStep.truncated is float32 [], it must be bool []"]),
    (
        ObsChangesShape,
        [
            "step: TimeStep.obs is float32 [1], it must be float32 [2] as from reset",
            "step: TimeStep.last_obs is float32 [1], it must be float32 [2] as from reset",
        ],
    ),
    (LastObsForgotten, ["step: TimeStep.last_obs is float32 [], it must be float32 [2] as from"]),
    (StateChangesType, ["step: state.time is float32 [], from reset it was int32 []"]),
    (StateGrows, ["step: the state's structure differs from reset's"]),
    (DiscountIsGamma, ["step: TimeStep.discount is 0.99; it is 0 where the episode terminated"]),
    (BothEnds, ["step: TimeStep is truncated and terminated (discount 0) at once"]),
    (
        ResetsItself,
        ["step: TimeStep.obs differs from TimeStep.last_obs; a raw environment does not reset"],
    ),
    (Diverges, [f"step: TimeStep.{name} is not finite" for name in ("obs", "reward", "last_obs")]),
    (OutsideChance, ["reset is not pure: called twice with one key, it differs in obs"]),
    (
        RemembersItself,
        ["step is not pure: called twice with one input, it differs in TimeStep.reward"],
    ),
    (
        WritesIntoState,
        ["step is not pure: it changes the state it is given in ['inner'].x, ['inner'].time"],
    ),
    (Branches, ["step under jax.jit raised TracerBoolConversionError"]),
    (KnowsWhenCompiled, ["step differs under jax.jit in TimeStep.reward"]),
    (LooksAtTheBatch, ["step differs under jax.vmap from one call at a time in TimeStep.reward"]),
    (FailsInABatch, ["step under jax.vmap raised NotImplementedError: one at a time, please"]),
]


@pytest.mark.parametrize(("env", "messages"), BROKEN, ids=[env.__name__ for env, _ in BROKEN])
def test_says_what_is_wrong(env, messages):
    with pytest.raises(ValueError, match="breaks the contract of an environment") as error:
        check_env(env())
    title, *findings = str(error.value).split("\n  - ")
    assert title.startswith(env.__name__)
    for finding, message in zip(findings, messages, strict=True):
        assert finding.startswith(message)


def test_lists_everything_at_once():
    class Wrong(IntegerReward, WritesIntoState, OutsideChance):
        pass

    with pytest.raises(ValueError) as error:
        check_env(Wrong())
    for part in ("TimeStep.reward is int32", "reset is not pure", "changes the state"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "env",
    [
        Walk(),
        AutoReset(Walk()),
        CartPole(),
        Pendulum(time_limit=5),
        delivery(time_limit=5),
        random_grid(jax.random.key(0)),
        Gymnax("Catch-bsuite"),
    ],
    ids=lambda env: type(env).__name__,
)
def test_finds_nothing_wrong(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_env(env) is None


def test_a_start_without_chance_is_only_noted():
    class AlwaysThere(Walk):
        def reset(self, key):
            return State(jnp.zeros(2), jnp.int32(0)), jnp.zeros(2)

    with pytest.warns(UserWarning, match="reset gives the same start for five keys"):
        check_env(AlwaysThere())


def test_key_and_length_of_the_run_are_the_callers():
    """What goes wrong late is found by a run that is long enough."""

    class Late(Walk):
        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            late = state.time > 3
            return state, timestep._replace(reward=jnp.where(late, jnp.inf, timestep.reward))

    check_env(Late(), num_steps=1)
    with pytest.raises(ValueError, match=r"TimeStep.reward is not finite \(step \d+\)"):
        check_env(Late(), key=jax.random.key(5), num_steps=60)

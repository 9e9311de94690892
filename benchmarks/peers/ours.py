"""An agent of this project, to be measured; see `turns`."""

import json
from collections.abc import Callable
from typing import Any

import turns

from rlax_pref import agents, compilation, envs, machines
from rlax_pref.agents import loop
from rlax_pref.types import Array, Env, Key, TimeStep


class Flat:
    """An environment whose observations are pictures, seen as vectors."""

    def __init__(self, env: Env) -> None:
        self.env, self.action_space = env, env.action_space

    def reset(self, key: Key) -> tuple[Any, Array]:
        """Begins an episode."""
        state, obs = self.env.reset(key)
        return state, obs.ravel()

    def step(self, key: Key, state: Any, action: Array) -> tuple[Any, TimeStep]:
        """Moves on by one action."""
        state, timestep = self.env.step(key, state, action)
        obs, last_obs = timestep.obs.ravel(), timestep.last_obs.ravel()
        return state, timestep._replace(obs=obs, last_obs=last_obs)


def environment(name: str) -> Any:
    """What to act in."""
    env = envs.make(name)
    return Flat(env) if "MinAtar" in name else env


def steps(asked: dict[str, Any], config: Any) -> int:
    """How many agent steps there are in the environment steps asked for."""
    return (asked["env_steps"] - getattr(config, "warm_up", 0)) // config.env_steps


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    devices = asked.get("devices", 1)
    machines.split_cpu(devices)
    if asked.get("threads"):
        machines.limit_threads(asked["threads"])
    env = environment(asked["env"])
    config = agents.config_from(asked["agent"], asked["settings"])
    agent = agents.make(asked["agent"], env, config)

    def run(key: Key) -> Any:
        return loop.run(agent, loop.born(agent)(key), steps(asked, config))[0].learner

    def judge(learner: Any, key: Key) -> Array:
        policy = agent.policy(learner)
        return loop.evaluate(env, policy, key, asked["episodes"], 1000)["return"].mean()

    def build(lower: Callable[[], Any], devices: list[Any]) -> Any:
        if asked["first"]:
            return compilation.kept(json.dumps(asked), lower, devices)
        return lower().compile()

    turns.take(lambda: turns.compiled(run, judge, asked["num_seeds"], devices, build))


if __name__ == "__main__":
    main(turns.asked())

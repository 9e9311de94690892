"""What a policy earns in an environment of gymnax."""

from collections.abc import Callable
from typing import Any

import gymnax
import jax


def judge(
    name: str, choose: Callable[[Any, Any], Any], num_episodes: int
) -> Callable[[Any, Any], Any]:
    """A function of weights and a key: the mean return of `choose(weights, observation [D])`."""
    env, params = gymnax.make(name)

    def episode(weights: Any, key: Any) -> Any:
        def step(carry: Any, key: Any) -> tuple[Any, None]:
            state, obs, total, going = carry
            obs, state, reward, done, _ = env.step(key, state, choose(weights, obs.ravel()), params)
            return (state, obs, total + going * reward, going * (1.0 - done)), None

        obs, state = env.reset(key, params)
        keys = jax.random.split(key, 1000)
        return jax.lax.scan(step, (state, obs, 0.0, 1.0), keys)[0][2]

    def mean(weights: Any, key: Any) -> Any:
        return jax.vmap(episode, (None, 0))(weights, jax.random.split(key, num_episodes)).mean()

    return mean

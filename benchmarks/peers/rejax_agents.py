"""PPO of rejax (https://github.com/keraJLi/rejax) on CartPole, to be measured; see `turns`.

    python rejax_ppo.py '{"num_envs": 4, ...}'

Runs by itself, where rejax is installed with a gymnax that it works with (0.0.9).
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import rejax
import turns


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    algorithm = rejax.get_algo("ppo").create(
        env="CartPole-v1",
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
        num_envs=asked["num_envs"],
        num_steps=asked["num_steps"],
        num_epochs=asked["num_epochs"],
        num_minibatches=asked["num_minibatches"],
        learning_rate=asked["learning_rate"],
        max_grad_norm=0.5,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        total_timesteps=asked["env_steps"],
        eval_freq=asked["env_steps"],
        skip_initial_evaluation=True,
    )
    evaluate = algorithm.eval_callback
    silent = algorithm.replace(eval_callback=lambda algorithm, state, key: 0.0)
    keys = jax.random.split(jax.random.key(0), asked["num_seeds"])

    def make() -> tuple[Callable[[], Any], Callable[[Any], float]]:
        program = jax.jit(jax.vmap(silent.train)).lower(keys).compile()
        returns = jax.jit(jax.vmap(lambda state, key: evaluate(algorithm, state, key)[1].mean()))
        return (
            lambda: jax.block_until_ready(program(keys))[0],
            lambda state: float(returns(state, keys).mean()),
        )

    turns.take(make)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

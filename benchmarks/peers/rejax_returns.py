"""Returns of rejax (https://github.com/keraJLi/rejax), with its own settings for each task.

Runs by itself, in an environment that has rejax and a gymnax that it works with (0.0.9):

    python benchmarks/peers/rejax_returns.py dqn 8

and prints one JSON object: the task, environment steps, the returns of all seeds (each the mean of
128 episodes of the last policy), and seconds to compile and to run all seeds as one program.
"""

import json
import sys
import time

import jax
import numpy as np
import rejax

# As published in configs/gymnax of rejax 0.1.
SETTINGS = {
    "dqn": {
        "env": "CartPole-v1",
        "agent": "DuelingQNetwork",
        "agent_kwargs": {"activation": "swish"},
        "num_envs": 10,
        "buffer_size": 50_000,
        "fill_buffer": 5_000,
        "batch_size": 100,
        "max_grad_norm": 10,
        "learning_rate": 1e-3,
        "num_epochs": 5,
        "total_timesteps": 100_000,
        "polyak": 0.98,
        "eps_start": 1,
        "eps_end": 0.05,
        "exploration_fraction": 0.5,
        "gamma": 0.99,
        "ddqn": True,
    },
    "sac": {
        "env": "Pendulum-v1",
        "agent_kwargs": {"activation": "swish"},
        "num_envs": 1,
        "buffer_size": 10_000,
        "fill_buffer": 256,
        "batch_size": 256,
        "learning_rate": 0.01,
        "num_epochs": 1,
        "total_timesteps": 10_000,
        "gamma": 0.99,
        "polyak": 0.98,
        "target_entropy_ratio": None,
        "normalize_observations": True,
    },
    "td3": {
        "env": "Pendulum-v1",
        "actor_kwargs": {"activation": "swish"},
        "critic_kwargs": {"activation": "swish"},
        "num_envs": 1,
        "buffer_size": 10_000,
        "fill_buffer": 1000,
        "batch_size": 100,
        "learning_rate": 0.001,
        "num_epochs": 1,
        "total_timesteps": 10_000,
        "gamma": 0.99,
        "polyak": 0.95,
        "max_grad_norm": 100,
        "exploration_noise": 0.3,
        "target_noise": 0.2,
        "target_noise_clip": 0.5,
        "policy_delay": 2,
        "normalize_observations": True,
    },
}


def main(name: str, num_seeds: int) -> None:
    """Trains and prints."""
    settings = SETTINGS[name]
    steps = settings["total_timesteps"]
    algorithm = rejax.get_algo(name).create(
        **settings, eval_freq=steps, skip_initial_evaluation=True
    )
    keys = jax.random.split(jax.random.key(0), num_seeds)
    start = time.perf_counter()
    program = jax.jit(jax.vmap(algorithm.train)).lower(keys).compile()
    compiled = time.perf_counter()
    _, (_, returns) = program(keys)
    returns = np.asarray(returns)[:, -1].mean(-1)
    seconds = time.perf_counter() - compiled
    print(
        json.dumps(
            {
                "env_steps": steps,
                "returns": np.sort(returns).round(2).tolist(),
                "compile_seconds": round(compiled - start, 2),
                "seconds": round(seconds, 2),
                "jax": jax.__version__,
                "rejax": getattr(rejax, "__version__", "unknown"),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

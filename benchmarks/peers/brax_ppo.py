"""PPO of brax (https://github.com/google/brax), to be measured; see `turns`.

Its training is one call that compiles anew each time, so a turn is a stretch of one training, which
goes on where the last one ended. It sends every episode back to the state that the first one began
with, which spares it the physics of resets.
"""

import queue
import threading
import time
from functools import partial
from typing import Any

import jax
import numpy as np
import turns
from brax import envs
from brax.training import acting
from brax.training.agents.ppo import networks, train
from flax import linen

TURNS = 100  # more than anyone will ask for


def replicate(tree: Any, devices: list[Any]) -> Any:
    """In place of `jax.device_put_replicated`, which brax 0.14 calls and JAX 0.10 has dropped."""
    return jax.pmap(lambda _: tree, axis_name="i", devices=devices)(np.zeros(len(devices)))


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    jax.device_put_replicated = replicate
    settings = asked["settings"]
    env = envs.get_environment(asked["env"].removeprefix("brax/"), backend="spring")
    go: queue.Queue[None] = queue.Queue()
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def pause(step: int, make_policy: Any, params: Any) -> None:
        """Called by brax before the first stretch and after each."""
        done.put((make_policy, params))
        go.get()

    learn = partial(
        train.train,
        env,
        num_timesteps=TURNS * asked["env_steps"],
        num_evals=TURNS + 1,
        run_evals=False,
        num_eval_envs=1,
        policy_params_fn=pause,
        episode_length=1000,
        num_envs=settings["num_envs"],
        unroll_length=settings["num_steps"],
        batch_size=settings["num_envs"] // settings["num_minibatches"],
        num_minibatches=settings["num_minibatches"],
        num_updates_per_batch=settings["num_epochs"],
        learning_rate=settings["learning_rate"],
        entropy_cost=settings["entropy_weight"],
        discounting=settings["discount"],
        gae_lambda=settings["lambda_"],
        clipping_epsilon=settings["clip"],
        max_grad_norm=settings["max_grad_norm"],
        vf_loss_coefficient=settings["value_weight"],
        normalize_observations=settings["normalize_obs"],
        network_factory=partial(
            networks.make_ppo_networks,
            policy_hidden_layer_sizes=settings["hidden"],
            value_hidden_layer_sizes=settings["hidden"],
            activation=getattr(linen, settings["activation"]),
            distribution_type="normal",
            noise_std_type="log",
        ),
    )

    def attempt() -> None:
        try:
            learn()
        except Exception as error:
            done.put((error, None))

    def stretch(turn: int = 0) -> tuple[Any, Any]:
        go.put(None)
        return heard()

    def heard() -> tuple[Any, Any]:
        found = done.get()
        if isinstance(found[0], Exception):
            raise found[0]
        return found

    def make() -> tuple[Any, ...]:
        threading.Thread(target=attempt, daemon=True).start()
        heard()
        if asked["first"]:
            return stretch, judge
        stretch()  # compiles, and trains besides: for how long, the next one says
        start = time.perf_counter()
        stretch()
        return stretch, judge, 2 * (time.perf_counter() - start)

    def judge(results: list[tuple[Any, Any]]) -> list[float]:
        make_policy, params = results[-1]  # of one training
        evaluator = acting.Evaluator(
            envs.training.wrap(env, 1000),
            partial(make_policy, deterministic=True),
            num_eval_envs=asked["episodes"],
            episode_length=1000,
            action_repeat=1,
            key=jax.random.PRNGKey(0),  # whose shape it reads
        )
        return [float(evaluator.run_evaluation(params, {})["eval/episode_reward"])]

    turns.take(make)


if __name__ == "__main__":
    main(turns.asked())

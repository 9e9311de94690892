"""An agent of PureJaxRL (https://github.com/luchris429/purejaxrl), to be measured; see `turns`.

Runs where the packages are installed that it needs, with gymnax 0.0.9. Its networks are fixed: two
layers of 64 for PPO, 120 and 84 with relu for DQN.
"""

import sys
import types
from typing import Any

import episodes
import gymnax
import jax
import turns


def ppo(s: dict[str, Any]) -> dict[str, Any]:
    """The settings under its names."""
    return {
        "NUM_STEPS": s["num_steps"],
        "UPDATE_EPOCHS": s["num_epochs"],
        "NUM_MINIBATCHES": s["num_minibatches"],
        "GAE_LAMBDA": s["lambda_"],
        "CLIP_EPS": s["clip"],
        "ENT_COEF": s["entropy_weight"],
        "VF_COEF": s["value_weight"],
        "MAX_GRAD_NORM": s["max_grad_norm"],
        "ACTIVATION": s["activation"],
        "ANNEAL_LR": False,
    }


def dqn(s: dict[str, Any]) -> dict[str, Any]:
    """The settings under its names."""
    return {
        "BUFFER_SIZE": s["capacity"],
        "BUFFER_BATCH_SIZE": s["batch_size"],
        "LEARNING_STARTS": s["warm_up"],
        "TRAINING_INTERVAL": s["num_envs"],
        "TARGET_UPDATE_INTERVAL": int(s["target_period"] * s["num_envs"]),
        "TAU": s["target_rate"],
        "EPSILON_START": s["epsilon"],
        "EPSILON_FINISH": s["epsilon_end"],
        "EPSILON_ANNEAL_TIME": s["epsilon_steps"],
    }


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    sys.path.insert(0, asked["checkout"])
    settings = asked["settings"]
    config = {
        "ENV_NAME": asked["env"],
        "TOTAL_TIMESTEPS": asked["env_steps"],
        "NUM_ENVS": settings["num_envs"],
        "LR": settings["learning_rate"],
        "GAMMA": settings["discount"],
    }
    env, params = gymnax.make(asked["env"])
    num_actions = env.action_space(params).n
    if asked["agent"] == "ppo":
        from purejaxrl import ppo as module

        if asked["num_seeds"] > 1:  # batches of the QR decompositions it begins with hang on CPUs
            first = jax.nn.initializers.variance_scaling
            module.orthogonal = lambda scale: first(scale**2, "fan_in", "truncated_normal")
        config |= ppo(settings)
        network = module.ActorCritic(num_actions, settings["activation"])
        choose = lambda weights, obs: network.apply(weights, obs)[0].mode()
    else:
        # It logs to wandb if asked to, and calls `tree_map` by a name that JAX has dropped.
        sys.modules.setdefault("wandb", types.ModuleType("wandb"))
        jax.tree_map = jax.tree.map
        from purejaxrl import dqn as module

        config |= dqn(settings)
        network = module.QNetwork(num_actions)
        choose = lambda weights, obs: network.apply(weights, obs).argmax(-1)

    train = module.make_train(config)
    run = lambda key: train(key)["runner_state"][0].params
    judge = episodes.judge(asked["env"], choose, asked["episodes"])
    turns.take(lambda: turns.compiled(run, judge, asked["num_seeds"]))


if __name__ == "__main__":
    main(turns.asked())

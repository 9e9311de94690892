"""An agent of rejax (https://github.com/keraJLi/rejax), to be measured; see `turns`.

Runs where rejax is installed with a gymnax that it works with (0.0.9).
"""

from typing import Any

import rejax
import turns
from rejax.evaluate import evaluate


def ppo(s: dict[str, Any]) -> dict[str, Any]:
    """The settings under its names."""
    return {
        "agent_kwargs": {"activation": s["activation"], "hidden_layer_sizes": s["hidden"]},
        "num_steps": s["num_steps"],
        "num_epochs": s["num_epochs"],
        "num_minibatches": s["num_minibatches"],
        "gae_lambda": s["lambda_"],
        "clip_eps": s["clip"],
        "ent_coef": s["entropy_weight"],
        "vf_coef": s["value_weight"],
        "normalize_rewards": s["normalize_reward"],
    }


def replayed(s: dict[str, Any]) -> dict[str, Any]:
    """Those that DQN and SAC share."""
    return {
        "agent_kwargs": {"activation": s["activation"]},
        "buffer_size": s["capacity"],
        "fill_buffer": s["warm_up"],
        "batch_size": s["batch_size"],
        "num_epochs": s["num_updates"],
        "polyak": 1.0 - s["target_rate"],
    }


def dqn(s: dict[str, Any]) -> dict[str, Any]:
    """The settings under its names."""
    return replayed(s) | {
        "agent": "DuelingQNetwork" if s["dueling"] else "QNetwork",
        "ddqn": s["double"],
        "target_update_freq": int(s["target_period"] * s["num_envs"] / s["num_updates"]),
        "eps_start": s["epsilon"],
        "eps_end": s["epsilon_end"],
        "exploration_fraction": s["epsilon_steps"] / asked["env_steps"],
    }


def sac(s: dict[str, Any]) -> dict[str, Any]:
    """The settings under its names."""
    return replayed(s) | {
        "hidden_layer_sizes": s["hidden"],
        "num_critics": s["num_critics"],
        "target_entropy_ratio": None,
    }


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    settings, steps = asked["settings"], asked["env_steps"]
    translate = {"ppo": ppo, "dqn": dqn, "sac": sac}[asked["agent"]]
    algorithm = rejax.get_algo(asked["agent"]).create(
        env=asked["env"],
        env_params={"backend": "spring"} if asked["env"].startswith("brax/") else {},
        num_envs=settings["num_envs"],
        learning_rate=settings["learning_rate"],
        max_grad_norm=settings["max_grad_norm"],
        gamma=settings["discount"],
        normalize_observations=settings["normalize_obs"],
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
        **translate(settings),
    )
    if asked["agent"] == "dqn":  # whose widths cannot be chosen otherwise
        widths = tuple(settings["hidden"])
        algorithm = algorithm.replace(agent=algorithm.agent.clone(hidden_layer_sizes=widths))
    silent = algorithm.replace(eval_callback=lambda algorithm, state, key: 0.0)

    def judge(state: Any, key: Any) -> Any:
        env, params = algorithm.env, algorithm.env_params
        return evaluate(algorithm.make_act(state), key, env, params, asked["episodes"])[1].mean()

    turns.take(lambda: turns.compiled(lambda key: silent.train(key)[0], judge, asked["num_seeds"]))


if __name__ == "__main__":
    asked = turns.asked()
    main(asked)

"""An agent of Stoix (https://github.com/EdanToledo/Stoix), to be measured; see `turns`.

Runs where the packages are installed that it needs, with gymnax 0.0.9. Stoix maps its learner over
devices, and sets it up outside of compiled programs. Here another axis of length one stands for the
one device, so that all is one program, as it is with other peers: that takes no longer, compiles
sooner, and lets seeds train side by side. What cannot be chosen stays: in PPO the policy and the
value network have an optimiser each, advantages are standardised over all data of an update, and
values are clipped; SAC warms up with its first policy. Its DQN explores at a fixed rate, so that
the settings of its peers do not fit.
"""

import importlib
import sys
from typing import Any
from unittest import mock

import episodes
import flax
import jax
import turns
from omegaconf import OmegaConf

# They log, store, evaluate and make other environments, which takes two dozen packages.
UNUSED = (
    "stoix.evaluator",
    "stoix.utils.checkpointing",
    "stoix.utils.env_factory",
    "stoix.utils.logger",
    "stoix.wrappers.jax_to_factory",
    "jumanji.types",  # of annotations
)


def network(asked: dict[str, Any], head: str, kind: str, scale: float = 1.0) -> dict[str, Any]:
    """Hidden layers, and a head upon them."""
    s = asked["settings"]

    def first(scale: float) -> dict[str, Any]:
        if asked["num_seeds"] == 1:
            return {}
        # Batches of the QR decompositions that it begins with hang on CPUs.
        arguments = {"scale": scale**2, "mode": "fan_in", "distribution": "truncated_normal"}
        return {"kernel_init": {"_target_": "jax.nn.initializers.variance_scaling", **arguments}}

    return {
        "input_layer": {"_target_": "stoix.networks.inputs.EmbeddingActionInput"},  # of Q only
        "pre_torso": {
            "_target_": "stoix.networks.torso.MLPTorso",
            "layer_sizes": list(s["hidden"]),
            "activation": s["activation"],
            **first(2**0.5),
        },
        head: {"_target_": f"stoix.networks.heads.{kind}", **first(scale)},
    }


def ppo(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Networks and settings under its names."""
    s = asked["settings"]
    networks = {
        "actor_network": network(asked, "action_head", "CategoricalHead", 0.01),
        "critic_network": network(asked, "critic_head", "ScalarCriticHead"),
    }
    return networks, {
        "critic_lr": s["learning_rate"],
        "epochs": s["num_epochs"],
        "num_minibatches": s["num_minibatches"],
        "gae_lambda": s["lambda_"],
        "clip_eps": s["clip"],
        "ent_coef": s["entropy_weight"],
        "vf_coef": s["value_weight"],
        "standardize_advantages": True,
        "normalize_observations": s["normalize_obs"],
        "reward_scale": 1.0,
    }


def sac(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Networks and settings under its names."""
    s = asked["settings"]
    networks = {
        "actor_network": network(asked, "action_head", "NormalAffineTanhDistributionHead", 0.01),
        "q_network": network(asked, "critic_head", "ScalarCriticHead"),
    }
    return networks, {
        "q_lr": s["learning_rate"],
        "alpha_lr": s["learning_rate"],
        "epochs": s["num_updates"],
        "warmup_steps": s["warm_up"] // s["num_envs"],
        "total_buffer_size": s["capacity"],
        "total_batch_size": s["batch_size"],
        "tau": s["target_rate"],
        "autotune": True,  # from a temperature of 1
        "target_entropy_scale": -s["target_entropy"],
    }


def configure(asked: dict[str, Any]) -> Any:
    """All that its learner reads."""
    s = asked["settings"]
    networks, system = {"ppo": ppo, "sac": sac}[asked["agent"]](asked)
    flat = {"_target_": "stoa.FlattenObservationWrapper"}
    steps = asked["env_steps"] - s.get("warm_up", 0)
    return OmegaConf.create(
        {
            "arch": {
                "num_envs": s["num_envs"],
                "update_batch_size": 1,
                "num_updates_per_eval": steps // (s["num_envs"] * s["num_steps"]),
            },
            "env": {
                "env_name": "gymnax",
                "scenario": {"name": asked["env"]},
                "kwargs": {},
                "wrapper": flat if "MinAtar" in asked["env"] else None,
            },
            "logger": {"checkpointing": {"load_model": False}},
            "network": networks,
            "system": {
                "actor_lr": s["learning_rate"],
                "decay_learning_rates": False,
                "rollout_length": s["num_steps"],
                "gamma": s["discount"],
                "max_grad_norm": s["max_grad_norm"],
                **system,
            },
        }
    )


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    sys.path.insert(0, asked["checkout"])
    importlib.import_module("stoa")  # which uses jumanji where it is installed
    for name in UNUSED:
        sys.modules.setdefault(name, mock.MagicMock())
    place = {"ppo": "ppo.anakin.ff_ppo", "sac": "sac.ff_sac"}[asked["agent"]]
    module = importlib.import_module(f"stoix.systems.{place}")
    jax.pmap = jax.vmap
    flax.jax_utils.replicate = lambda tree, devices: jax.tree.map(lambda x: x[None], tree)

    config = configure(asked)
    env, _ = module.environments.make(config)
    # Spaces look at the values of their bounds, so they are made outside of compiled programs.
    observations, actions = env.observation_space(), env.action_space()
    env.observation_space, env.action_space = lambda: observations, lambda: actions
    actors = {}

    def run(key: Any) -> Any:
        keys = jax.random.split(key, 3)
        learn, actors["last"], state = module.learner_setup(env, keys, config)
        weights = learn(state).learner_state.params.actor_params
        return jax.tree.map(lambda x: x[0, 0], weights)

    choose = lambda weights, obs: actors["last"].apply(weights, obs).mode()
    judge = episodes.judge(asked["env"], choose, asked["episodes"])
    turns.take(lambda: turns.compiled(run, judge, asked["num_seeds"]))


if __name__ == "__main__":
    main(turns.asked())

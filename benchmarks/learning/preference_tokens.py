"""Which way from preferences between responses to a better policy is the shortest?

    python -m benchmarks.learning.preference_tokens --out FILE

Each of 16 prompts is a combination lock: three of eight tokens must be right, and of two responses
the one with more right tokens is preferred. One random response in 64 opens its lock. Three ways:

- offline: 256 pairs of random responses, judged once;
- online: 64 fresh responses in each update, judged as they come. After 8 updates as many are judged
  as offline learning has in all. DNO-Prct has every fourth from a teacher, who opens the lock;
- scores: 64 fresh responses, and no preferences but a reward of 1 for one that opens the lock. RTO
  (Zhong et al., 2024, arXiv:2404.18922) learns from the 256 pairs by DPO first, and is paid for
  each token.

A judge is exact, or errs where the lead is small: one right token more wins three times in four.
All policies are tables of logits that begin uniform, so that success (the probability that a lock
is opened) and the divergence from the first policy are known exactly. All seeds and step sizes of
a method are one program.
"""

import argparse
import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import envs
from rlax_pref.agents import preference_tokens, tokens
from rlax_pref.agents.configs import PREFERENCE_TOKENS, TOKENS
from rlax_pref.envs import TokenLock
from rlax_pref.types import Agent, Array, Key, TrainState

NUM_LOCKS, LENGTH, CRITICAL = 16, 8, (1, 4, 7)
NUM_PAIRS = 256
WHEN = (8, 30, 100, 300)  # updates after which policies are looked at
STEP_SIZES = (0.1, 0.03)
ERRING = {"noiseless": False, "label_temperature": 0.3}

# What to call it: the agent and how its settings differ from the defaults.
OFFLINE: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, {})
    for name in (
        *("dpo", "cdpo", "robust_dpo", "ipo", "slic", "orpo", "simpo", "rpo", "tdpo", "ra_dpo"),
        *("exo", "nca", "bco", "apo", "aot", "discopop", "token_cpl", "kto", "mapl", "una"),
    )
}
OFFLINE["sft"] = ("dpo", {"loss": "sft"})
OFFLINE["sppo_hard"] = ("dpo", {"loss": "sppo_hard"})
ONLINE: dict[str, tuple[str, dict[str, Any]]] = {
    "online_dpo": ("online_dpo", {"num_envs": 32}),
    "online_ipo": ("online_dpo", {"num_envs": 32, "loss": "ipo"}),
    "online_kto": ("online_dpo", {"num_envs": 32, "loss": "kto"}),
    "raft": ("raft", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
    "brain": ("brain", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
    "dno": ("dno", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
    "gpo": ("gpo", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
    "sppo": ("sppo", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
    "dno_prct": ("dno_prct", {"num_envs": 16, "group_size": 4, "resample_every": 1}),
}
SCORES: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, {}) for name in ("rloo", "grpo", "token_ppo", "prime", "rto")
}
WAYS = {"offline": OFFLINE, "online": ONLINE, "scores": SCORES}
OPTIONS = OFFLINE | ONLINE | SCORES
JUDGES = ("exact", "erring")
SCORED = ("mapl", "una", "raft", "brain", "gpo", "dno_prct", *SCORES)  # these see scores


def lock() -> TokenLock:
    """The task as judges of pairs see it."""
    return envs.make(
        "token_lock", num_prompts=NUM_LOCKS, max_length=LENGTH, critical=CRITICAL, partial=True
    )


def make(option: str, judge: str, step_size: Array, key: Key) -> Agent:
    """The agent of an option; the step size may be traced, the key is of data that it is given."""
    name, changes = OPTIONS[option]
    settings: dict[str, Any] = {"network": "table", "learning_rate": step_size}
    if option not in SCORES:
        settings |= {"num_envs": NUM_PAIRS, "num_judged": 1} | changes
        settings |= ERRING if judge == "erring" else {}
        settings["batch_size"] = settings["num_envs"]
        return preference_tokens.make(lock(), PREFERENCE_TOKENS[name](**settings))
    settings |= {"num_envs": NUM_LOCKS, "group_size": 4, "keep_prompts": True}
    settings |= {"critic_learning_rate": step_size, **changes}
    paid = dataclasses.replace(lock(), partial=False)
    if name != "rto":
        return tokens.make(paid, TOKENS[name](**settings))
    pairs = make("dpo", "exact", step_size, key).init(key).actor.responses
    settings |= {"dpo_steps": 300, "dpo_pairs": NUM_PAIRS}
    return tokens.make(paid, TOKENS[name](**settings), pairs)


def look(table: Array) -> dict[str, Array]:
    """What a policy of logits `[P, L, K]` is worth: `[]` each."""
    task, log_prob = lock(), jax.nn.log_softmax(table)
    right = jnp.take_along_axis(log_prob, task.accepted[:, 0, :, None], axis=-1)[..., 0]
    right = jnp.where(task.critical, right, 0.0)
    return {
        "success": jnp.exp(right.sum(-1)).mean(),
        "right": jnp.exp(right).mean(where=task.critical),
        "kl": (jnp.exp(log_prob) * (log_prob + jnp.log(task.num_tokens))).sum((1, 2)).mean(),
    }


def judged(option: str, updates: int) -> int:
    """How many responses were judged by then; by MAPL each with another prompt as well."""
    name, changes = OPTIONS[option]
    if option in OFFLINE:
        return 2 * NUM_PAIRS * (2 if name == "mapl" else 1)
    if option in SCORES:
        return updates * NUM_LOCKS * 4 + (2 * NUM_PAIRS if name == "rto" else 0)
    return updates * changes["num_envs"] * changes.get("group_size", 2)


def measure(option: str, judge: str, num_seeds: int) -> list[dict[str, Any]]:
    """Trains all seeds and step sizes of a method, and returns a line for each step size."""

    def one(step_size: Array, key: Key) -> dict[str, Array]:
        agent = make(option, judge, step_size, jax.random.fold_in(key, 1))

        def step(state: TrainState, _: None) -> tuple[TrainState, dict[str, Array]]:
            state = agent.step(state)[0]
            params = state.learner.params
            return state, look(params.get("policy", params)["table"][:, :, 0])

        seen = jax.lax.scan(step, agent.init(key), length=max(WHEN))[1]
        return jax.tree.map(lambda x: x[jnp.array(WHEN) - 1], seen)

    start = time.perf_counter()
    keys = jax.random.split(jax.random.key(0), num_seeds)
    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    seen = jax.tree.map(np.asarray, every(jnp.array(STEP_SIZES), keys))
    seconds = time.perf_counter() - start
    way = next(k for k, v in WAYS.items() if option in v)
    lines = []
    for i, step_size in enumerate(STEP_SIZES):
        line = {"way": way, "method": option, "judge": judge, "learning_rate": step_size}
        line |= {"seeds": num_seeds, "updates": list(WHEN)}
        line["judged"] = [judged(option, when) for when in WHEN]
        for name in ("success", "right", "kl"):
            line[name] = seen[name][i].mean(0).round(4).tolist()
            error = record.standard_error(seen[name][i])
            line[f"{name}_standard_error"] = error.round(4).tolist()
        lines.append(line | {"seconds": round(seconds, 1), **record.where()})
    return lines


def run(options: list[str], judges: list[str], num_seeds: int) -> list[dict[str, Any]]:
    """Measures one method after the other, and says how each went."""
    lines = []
    for judge in judges:
        print(f"\n{judge} judge: success (divergence) after {', '.join(map(str, WHEN))} updates")
        for option in options:
            if judge == "erring" and option in SCORED:
                continue
            for line in measure(option, judge, num_seeds):
                table = "  ".join(
                    f"{mean:.3f} ± {error:.3f} ({kl:4.1f})"
                    for mean, error, kl in zip(
                        line["success"], line["success_standard_error"], line["kl"], strict=True
                    )
                )
                print(f"{option:>12} {line['learning_rate']:4}: {table}", flush=True)
                lines.append(line)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--judges", nargs="+", choices=JUDGES, default=list(JUDGES))
    parser.add_argument("--seeds", type=int, default=5)

    def measure_all(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.methods, args.judges, args.seeds)

    record.run(parser, measure_all, arguments)


if __name__ == "__main__":
    main()

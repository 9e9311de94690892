"""How well do policies that denoise learn what is preferred, and how far do they go for it?

D3PO (Yang et al., 2023, arXiv:2311.13231), PRDP (Deng et al., 2024, arXiv:2402.08714) and DRAGON
(Bai et al., 2025, arXiv:2504.15217) begin with the same chain, which has learned to make what is
demonstrated. Beside them are the policy gradient (DDPO, Black et al., 2023, arXiv:2305.13301) and
imitation of the best of each group (RAFT, Dong et al., 2023, arXiv:2304.06767).

    python -m benchmarks.learning.denoising --out FILE [--seeds 5] [--steps 400]
        [--parts methods prices rates]

The task is `gaussian_mixture`: demonstrations have two modes, and a point pays how near it is to a
target a little beyond one of them. FILE gets one JSON line for each condition:

  methods  what each of them comes to with its own settings, and all with the same number of scored
           actions; DRAGON by the mean reward of its sets, or by their distance from exemplars
  prices   PRDP at several prices of a nat, beside what is best at that price, found by weighing
           the first chain's actions by exp(reward / price)
  rates    PRDP, D3PO and DDPO at several step sizes of Adam; in `prdp_unclipped` and `ddpo_reused`
           nothing holds back the steps taken on the same actions; `worse` counts the seeds that
           earn less than the first chain, or are lost in numbers that are not finite

`divergence` is of whole chains from the first chain, `distance` is Frechet's from the exemplars,
`wins` is the share of observations where the action earns more than the first chain's. `curve` has
the mean reward at ten times, by seed. All seeds of a condition are one program.
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import envs
from rlax_pref.agents import configs, denoising, runner
from rlax_pref.types import Array, Key, PyTree

NUM_OBS, NUM_ACTIONS = 64, 128  # of which a policy is judged
OFTEN = 4000  # actions for each observation, of which the best at a price is found
SHARED: dict[str, Any] = {"num_judged": 128}
EVEN: dict[str, dict[str, Any]] = {  # settings with which each has 256 actions scored a step
    "d3po": {"resample_every": 2},
    "prdp": {},
    "dragon": {},
    "ddpo": {"num_envs": 64, "batch_size": 64},
    "diffusion_raft": {"num_envs": 128},
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "d3po": ("d3po", {}),
    "d3po_unclipped": ("d3po", {"epsilon": 0.999}),
    "prdp": ("prdp", {}),
    "dragon_samples": ("dragon", {"score": "sample"}),
    "dragon_sets": ("dragon", {}),
    "dragon_sets_kto": ("dragon", {"loss": "kto"}),
    "ddpo": ("ddpo", {}),
    "raft": ("diffusion_raft", {}),
}
PRICES = (0.05, 0.1, 0.2, 0.4)
RATES = (1e-3, 1e-2, 3e-2, 1e-1)
AT_RATES: dict[str, tuple[str, dict[str, Any]]] = {
    "d3po": ("d3po", {}),
    "prdp": ("prdp", {}),
    "prdp_unclipped": ("prdp", {"epsilon": 1e6}),
    "ddpo": ("ddpo", {}),
    "ddpo_reused": ("ddpo", {"num_envs": 256, "resample_every": 4}),
}
Line = dict[str, Any]


def configured(name: str, settings: dict[str, Any]) -> Any:
    return configs.AGENTS[name](**SHARED | EVEN[name] | settings)


def act(env: Any, agent: Any, learner: Any, key: Key, times: int) -> tuple[Array, Array, Array]:
    """Observations `[N, C]`, actions `[N, times, D]` of a policy, and what they earn."""
    key_env, key_act = jax.random.split(key)
    states, obs = jax.vmap(env.reset)(jax.random.split(key_env, NUM_OBS))
    policy = agent.policy(learner)

    def one(state: Any, obs: Array, key: Key) -> tuple[Array, Array]:
        action = policy.act((), obs, key)[1]
        return action, env.step(key, state, action)[1].reward

    keys = jax.random.split(key_act, (NUM_OBS, times))
    action, reward = jax.vmap(jax.vmap(one, (None, None, 0)))(states, obs, keys)
    return obs, action, reward


@jax.jit
def warm_up(env: Any, keys: Key) -> PyTree:
    """First chains, one a key."""
    agent = denoising.make(env, configured("d3po", {}))
    return jax.vmap(lambda key: agent.init(key).learner.params)(keys)


@partial(jax.jit, static_argnames=("steps",))
def study(env: Any, first: PyTree, keys: Key, config: Any, *, steps: int) -> dict[str, Array]:
    """`[K]` what policies come to."""

    def one(first: PyTree, key: Key) -> dict[str, Array]:
        agent = denoising.make(env, config, first)
        key_train, key_judge = jax.random.split(key)
        state, metrics = runner.run(agent, agent.init(key_train), steps)
        return judged(env, agent, state.learner, key_judge) | {
            "divergence": metrics["kl"][-max(steps // 20, 1) :].mean(),
            "curve": metrics["return"].reshape(10, -1).mean(1),
        }

    return jax.vmap(one)(first, keys)


def judged(env: Any, agent: Any, learner: Any, key: Key) -> dict[str, Array]:
    """Of a policy, beside the reference it began with on the same observations."""
    obs, action, reward = act(env, agent, learner, key, NUM_ACTIONS)
    first = learner._replace(params=learner.reference)
    _, _, other = act(env, agent, first, key, NUM_ACTIONS)
    return {
        "reward": reward.mean(),
        "distance": -jax.vmap(env.score_set)(obs, action).mean(),
        "spread": action.std(1).mean(),
        "wins": (reward > jnp.roll(other, 1, axis=1)).mean(),  # of other noise
    }


@jax.jit
def references(env: Any, first: PyTree, keys: Key) -> dict[str, dict[str, Array]]:
    """`[K]` of the first chains, and what is best at each price of diverging from them."""

    def one(first: PyTree, key: Key) -> dict[str, dict[str, Array]]:
        agent = denoising.make(env, configured("d3po", {}), first)
        key_train, key_judge = jax.random.split(key)
        learner = agent.init(key_train).learner
        _, _, reward = act(env, agent, learner, key_judge, OFTEN)

        def best(price: float) -> dict[str, Array]:
            weight = jax.nn.softmax(reward / price, axis=1)
            gain = jnp.sum(weight * reward, axis=1)
            log_mean = jax.nn.logsumexp(reward / price, axis=1) - jnp.log(OFTEN)
            return {"reward": gain.mean(), "divergence": (gain / price - log_mean).mean()}

        return {f"best at {price}": best(price) for price in PRICES} | {
            "reference": judged(env, agent, learner, key_judge) | {"divergence": jnp.zeros(())}
        }

    return jax.vmap(one)(first, keys)


def run(num_seeds: int, steps: int, parts: list[str]) -> list[Line]:
    """Measures everything, and prints a table as it goes."""
    env = envs.make("gaussian_mixture")
    lines: list[Line] = []
    began = time.perf_counter()

    def note(part: str, name: str, measured: dict[str, Array], **more: Any) -> None:
        nonlocal began
        found = jax.tree.map(np.asarray, measured)  # waits for them
        line: Line = {"part": part, "method": name, "seeds": num_seeds, "steps": steps} | more
        for what, x in found.items():
            if what == "curve":
                line["curve"] = [[finite(y) for y in seed] for seed in np.round(x.astype(float), 4)]
                continue
            line[what] = finite(x.mean())
            line[f"{what}_standard_error"] = finite(record.standard_error(x))
        line["reward_by_seed"] = [finite(x) for x in np.round(found["reward"].astype(float), 4)]
        if part == "rates":
            line["worse"] = int(np.sum(~(found["reward"] >= known["reference"]["reward"])))
        line["seconds"] = round(time.perf_counter() - began, 1)  # compiling included
        lines.append(line | record.where())
        print(row(line), flush=True)
        began = time.perf_counter()

    key_warm, key_train = jax.random.split(jax.random.key(0))
    first = warm_up(env, jax.random.split(key_warm, num_seeds))
    keys = jax.random.split(key_train, num_seeds)
    learn = partial(study, env, first, keys, steps=steps)
    known = references(env, first, keys)
    note("methods", "reference", known["reference"])
    if "methods" in parts:
        for name, (agent, settings) in METHODS.items():
            note("methods", name, learn(configured(agent, settings)))
    if "prices" in parts:
        for price in PRICES:
            note("prices", "best", known[f"best at {price}"], price=price)
            note("prices", "prdp", learn(configured("prdp", {"beta": price})), price=price)
    if "rates" in parts:
        for name, (agent, settings) in AT_RATES.items():
            for rate in RATES:
                config = configured(agent, settings | {"learning_rate": rate})
                note("rates", name, learn(config), rate=rate)
    return lines


def finite(x: Any) -> float | None:
    """A number, or None of a policy that is none any more."""
    return float(x) if np.isfinite(x) else None


def row(line: Line) -> str:
    """A line of the table."""
    setting = line.get("price", line.get("rate", ""))
    cells = "".join(
        f"{what:>12}{line[what]:8.3f} +- {line[f'{what}_standard_error'] or 0.0:5.3f}"
        for what in ("reward", "divergence", "distance", "wins")
        if line.get(what) is not None
    )
    return f"  {line['part']:<8}{line['method']:<16}{setting!s:<7}{cells}"


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400, help="of Adam; a multiple of 10")
    parts = ("methods", "prices", "rates")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    record.run(parser, lambda args: run(args.seeds, args.steps, args.parts), arguments)


if __name__ == "__main__":
    main()

"""Which gradient of ODICE's loss learns values: all of it, half of it, or what is orthogonal?

A grid of which one corner is the goal; every step until it costs. The data are single steps from
anywhere, by someone who takes any action, but in some states never the best one. The true gradient
of the loss teaches a state by what came after it and the later one by the earlier one; the
semi-gradient leaves the second half out (eta 0); ODICE keeps of the second half what is orthogonal
to the first (Mao et al., 2024, arXiv:2402.00348). IQL and plain cloning stand beside them.

    python -m benchmarks.learning.orthogonal_gradient --out FILE
        [--seeds 10] [--minibatches 4800] [--networks table mlp]

FILE gets one JSON line for each network and method. `spread` is the deviation of the values of
states, in that of the best values that the data allow (ODICE's own values differ less even where
it succeeds: lambda 0.6 adds 2/3 to what a step brings); `correlation` is how the two go together;
`regret` is how many more steps, discounted, the learned policy costs from all states on average
than the best one that takes only actions of the data: below 0 where a guess about others was good.
A table has a value of its own for each state; the other network sees coordinates. Every seed has a
world of its own, and all seeds of a method are one program.
"""

import argparse
import itertools
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import networks
from rlax_pref.agents import configs, imitation, runner
from rlax_pref.types import Array, Discrete, Key, TimeStep, Transition

SIDE, DISCOUNT, NUM_ROWS, MISSING = 7, 0.95, 4000, 0.3
NUM_STATES, NUM_ACTIONS, GOAL = SIDE**2, 4, SIDE**2 - 1
MOVES = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
NETWORKS: dict[str, dict[str, Any]] = {
    "table": {"hidden": (), "learning_rate": 0.02},
    "mlp": {"hidden": (64, 64), "learning_rate": 1e-3},
}
COMMON: dict[str, Any] = {
    "discount": DISCOUNT,
    "batch_size": 64,
    "target_rate": 0.02,
    "normalize_obs": False,
    "layer_norm": False,
}
METHODS: dict[str, Any] = {
    "orthogonal": configs.ODICE(eta=1.0, **COMMON),
    "semi": configs.ODICE(eta=0.0, **COMMON),
    "true": configs.ODICE(eta=1.0, project=False, **COMMON),
    "iql": configs.IQL(tau=0.9, **COMMON),
}


class World(NamedTuple):
    """A grid that an agent is given for its shapes; it acts in it without learning from that."""

    as_table: bool
    action_space: Discrete = Discrete(NUM_ACTIONS)

    def reset(self, key: Key) -> tuple[Array, Array]:
        """Begins at the corner opposite the goal."""
        return jnp.int32(0), see(jnp.int32(0), self.as_table)

    def step(self, key: Key, state: Array, action: Array) -> tuple[Array, TimeStep]:
        """Moves."""
        state = jnp.asarray(table())[state, action]
        obs, over = see(state, self.as_table), state == GOAL
        no = jnp.zeros((), bool)
        return state, TimeStep(obs, jnp.float32(-1.0), 1.0 - over, no, obs)


def table() -> np.ndarray:
    """`[S, A]` where each action leads."""
    at = np.stack(np.divmod(np.arange(NUM_STATES), SIDE), -1)
    to = np.clip(at[:, None] + MOVES, 0, SIDE - 1)
    return (to @ np.array([SIDE, 1])).astype(np.int32)


def see(state: Array, as_table: bool) -> Array:
    """`[..., D]` what networks see of states."""
    if as_table:
        return jax.nn.one_hot(state, NUM_STATES)
    return jnp.stack([state // SIDE, state % SIDE], -1) / (SIDE - 1) * 2.0 - 1.0


def evaluate(probs: Array) -> Array:
    """`[S]` values of a policy that takes actions with these probabilities `[S, A]`."""
    to = jnp.asarray(table())
    goes_on = DISCOUNT * (to != GOAL)

    def back(v: Array, _: None) -> tuple[Array, None]:
        q = -1.0 + goes_on * v[to]
        return (probs * q).sum(-1), None

    return jax.lax.scan(back, jnp.zeros(NUM_STATES), length=400)[0].at[GOAL].set(0.0)


def best_values(allowed: Array) -> Array:
    """`[S]` values of the best policy that takes only `[S, A]` allowed actions."""
    to = jnp.asarray(table())

    def back(v: Array, _: None) -> tuple[Array, None]:
        q = -1.0 + DISCOUNT * (to != GOAL) * v[to]
        return jnp.where(allowed, q, -jnp.inf).max(-1), None

    return jax.lax.scan(back, jnp.zeros(NUM_STATES), length=400)[0].at[GOAL].set(0.0)


def draw(key: Key, as_table: bool) -> tuple[Transition, Array]:
    """Steps `[N, ...]`, and which actions are in them `[S, A]`."""
    key_missing, key_state, key_action = jax.random.split(key, 3)
    to = jnp.asarray(table())
    distance = 2 * (SIDE - 1) - to // SIDE - to % SIDE
    best = distance == distance.min(-1, keepdims=True)
    missing = jax.random.bernoulli(key_missing, MISSING, (NUM_STATES, 1))
    missing &= (to != GOAL).all(-1, keepdims=True)  # the goal can be entered
    allowed = ~(best & missing)
    state = jax.random.randint(key_state, (NUM_ROWS,), 0, GOAL)
    action = jax.random.categorical(key_action, jnp.where(allowed, 0.0, -jnp.inf)[state])
    after = to[state, action]
    yes = jnp.ones(NUM_ROWS, bool)
    data = Transition(
        obs_tm1=see(state, as_table),
        a_tm1=action,
        r_t=jnp.full(NUM_ROWS, -1.0),
        discount_t=1.0 - (after == GOAL),
        truncated_t=yes,
        valid_t=yes,
        obs_t=see(after, as_table),
    )
    return data, allowed


@partial(jax.jit, static_argnames=("as_table", "minibatches"))
def study(config: Any, keys: Key, as_table: bool, minibatches: int) -> dict[str, Array]:
    """`[seeds]` of each measure."""

    def one(key: Key) -> dict[str, Array]:
        key_data, key_learn = jax.random.split(key)
        data, allowed = draw(key_data, as_table)
        agent = imitation.make(World(as_table), config, data)
        state, _ = runner.run(agent, agent.init(key_learn), minibatches // config.num_updates)
        params = state.learner.params
        obs = see(jnp.arange(NUM_STATES), as_table)
        value = networks.value(config.hidden, activation=config.activation)
        if isinstance(config, configs.ODICE):
            value = networks.ensemble(value, config.num_critics)
        v = value.apply(params["value"], obs).reshape(-1, NUM_STATES).min(0)[:GOAL]
        actor = networks.policy(Discrete(NUM_ACTIONS), config.hidden, activation=config.activation)
        logits = actor.apply(params["actor"], obs).logits
        best = best_values(allowed)
        own = evaluate(jax.nn.one_hot(logits.argmax(-1), NUM_ACTIONS))
        return {
            "spread": v.std() / best[:GOAL].std(),
            "correlation": jnp.corrcoef(v, best[:GOAL])[0, 1],
            "regret": (best - own)[:GOAL].mean(),
            "regret_without_limits": (best_values(jnp.ones_like(allowed)) - own)[:GOAL].mean(),
        }

    return jax.vmap(one)(keys)


def run(names: list[str], num_seeds: int, minibatches: int) -> list[dict[str, Any]]:
    """Measures one condition after the other, and says how each went."""
    lines = []
    for network, method in itertools.product(names, METHODS):
        keys = jax.random.split(jax.random.key(0), num_seeds)
        config = METHODS[method].__class__(**{**vars(METHODS[method]), **NETWORKS[network]})
        start = time.perf_counter()
        found = jax.tree.map(np.asarray, study(config, keys, network == "table", minibatches))
        lines.append(
            {
                "network": network,
                "method": method,
                "minibatches": minibatches,
                "seeds": num_seeds,
                **record.means(found),
                "seconds": round(time.perf_counter() - start, 2),
                **record.where(),
            }
        )
        print(
            "{network:>5} {method:>10}: spread {spread:5.2f} +- {spread_standard_error:.2f}  "
            "correlation {correlation:5.2f} +- {correlation_standard_error:.2f}  "
            "regret {regret:5.2f} +- {regret_standard_error:.2f}".format(**lines[-1]),
            flush=True,
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--minibatches", type=int, default=4800)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        return run(args.networks, args.seeds, args.minibatches)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()

"""Which estimator of another policy's return is wrong by how much, and which chooses well?

A walk of five states goes right or left, slips now and then, and is paid at the right end. What
one policy did is all there is to say what others would earn. Importance sampling is right in the
mean and varies the more the longer the walk; a model of the walk that slips too much hardly varies
and is wrong; what is normalised, or corrected, is in between. Fitted Q evaluation learns the model
from the same walks, of every state (fqe) or, too coarsely, of left, middle and right (coarse), and
corrects it (fqe_dr). Then ten policies are ranked by each
estimator, and judged by SharpeRatio@k (Kiyohara et al., 2023, arXiv:2311.18207), by regret and by
how well the ranks agree.

    python -m benchmarks.learning.off_policy_evaluation --out FILE
"""

import argparse
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import metrics
from rlax_pref.types import Array, Key

NUM_STATES, SLIP, MODEL_SLIP, DISCOUNT = 5, 0.1, 0.3, 0.99
BEHAVIOUR, TARGET = 0.6, 0.85  # probability of going right
CANDIDATES = np.linspace(0.2, 0.95, 10).astype(np.float32)
ESTIMATORS = (
    *("dm", "tis", "sntis", "pdis", "snpdis", "dr", "sndr"),
    *("fqe", "fqe_dr", "coarse", "coarse_dr"),
)
STATES = jnp.eye(NUM_STATES)
PARTS = jnp.eye(3)[jnp.array([0, 1, 1, 1, 2])]


class Logs(NamedTuple):
    """Trajectories `[T, B]` of the policy that acted."""

    state: Array
    right: Array  # bool, the action
    reward: Array
    after: Array  # the next state


def step_law(slip: float) -> Array:
    """`[A, S, S]` laws of the next state, going left and right."""
    to = lambda move: jax.nn.one_hot(
        jnp.clip(jnp.arange(NUM_STATES) + move, 0, NUM_STATES - 1), NUM_STATES
    )
    left, right = to(-1), to(1)
    return jnp.stack([(1 - slip) * left + slip * right, (1 - slip) * right + slip * left])


PAID = jnp.zeros(NUM_STATES).at[-1].set(1.0)


def act(key: Key, length: int, num: int) -> Logs:
    """Lets the behaviour act, from anywhere."""
    law = step_law(SLIP)
    key_start, key_walk = jax.random.split(key)

    def walk(state: Array, key: Key) -> tuple[Array, Logs]:
        key_act, key_next, key_reward = jax.random.split(key, 3)
        right = jax.random.bernoulli(key_act, BEHAVIOUR, (num,))
        after = jax.random.categorical(key_next, jnp.log(law[right.astype(int), state]))
        reward = PAID[after] + 0.3 * jax.random.normal(key_reward, (num,))
        return after, Logs(state, right, reward, after)

    start = jax.random.randint(key_start, (num,), 0, NUM_STATES)
    return jax.lax.scan(walk, start, jax.random.split(key_walk, length))[1]


def values_of(right: Array, length: int, slip: float) -> tuple[Array, Array]:
    """`[T, S, A]` and `[T, S]` exact values of a policy where the walk slips so often."""
    law = step_law(slip)
    probs = jnp.array([0.0, 1.0]) * right + jnp.array([1.0, 0.0]) * (1.0 - right)

    def back(v: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        q = jnp.einsum("ask,k->sa", law, PAID + DISCOUNT * v)
        v = q @ probs
        return v, (q, v)

    return jax.lax.scan(back, jnp.zeros(NUM_STATES), length=length, reverse=True)[1]


def fitted(logs: Logs, right: Array, features: Array) -> tuple[Array, Array]:
    """`[T, S, A]` and `[T, S]` values as they are learned, from features `[S, d]` of states."""
    probs = jnp.stack([1.0 - right, right])
    of = lambda state, actions: jnp.kron(features[state], actions)
    one_hot = jax.nn.one_hot(logs.right.ravel().astype(int), 2)
    w = metrics.fitted_q_evaluation(
        jax.vmap(of)(logs.state.ravel(), one_hot),
        logs.reward.ravel(),
        jnp.full(logs.reward.size, DISCOUNT),
        jax.vmap(lambda state: of(state, probs))(logs.after.ravel()),
        len(logs.reward),
    )
    q = jnp.einsum("sd,tda->tsa", features, w[::-1].reshape(len(w), -1, 2))
    return q, q @ probs


def estimates(logs: Logs, right: Array) -> Array:
    """`[11]` what each estimator says that a policy earns."""
    length, num = logs.reward.shape
    time_index = jnp.arange(length)[:, None]

    def expected(q: Array, v: Array) -> tuple[Array, Array]:
        """Of what was done, and of where it was done."""
        return q[time_index, logs.state, logs.right.astype(int)], v[time_index, logs.state]

    q, v = values_of(right, length, MODEL_SLIP)
    states, parts = (fitted(logs, right, features) for features in (STATES, PARTS))
    log_ratio = jnp.where(
        logs.right, jnp.log(right / BEHAVIOUR), jnp.log((1 - right) / (1 - BEHAVIOUR))
    )
    probs = jnp.broadcast_to(jnp.stack([1.0 - right, right]), (num, 2))
    arguments = (logs.reward, log_ratio)
    first = logs.state[0]
    found = (
        metrics.direct(q[0][first], probs),
        metrics.trajectory_is(*arguments, DISCOUNT),
        metrics.trajectory_is(*arguments, DISCOUNT, normalize=True),
        metrics.per_decision_is(*arguments, DISCOUNT),
        metrics.per_decision_is(*arguments, DISCOUNT, normalize=True),
        metrics.doubly_robust(*arguments, *expected(q, v), DISCOUNT),
        metrics.doubly_robust(*arguments, *expected(q, v), DISCOUNT, normalize=True),
        metrics.direct(states[0][0][first], probs),
        metrics.doubly_robust(*arguments, *expected(*states), DISCOUNT),
        metrics.direct(parts[0][0][first], probs),
        metrics.doubly_robust(*arguments, *expected(*parts), DISCOUNT),
    )
    return jnp.stack([x.mean() for x in found])


def ranks(x: Array) -> Array:
    """`[..., K]` places in increasing order."""
    return jnp.argsort(jnp.argsort(x, axis=-1), axis=-1).astype(jnp.float32)


def run(num_seeds: int, lengths: list[int], num: int, k: int) -> list[dict[str, Any]]:
    """Measures all conditions, and returns a line for each estimator and length."""
    lines = []
    for length in lengths:
        start = time.perf_counter()
        policies = jnp.concatenate([jnp.array([TARGET]), jnp.asarray(CANDIDATES)])

        def study(key: Key, length: int = length, policies: Array = policies) -> Array:
            logs = act(key, length, num)
            return jax.vmap(partial(estimates, logs))(policies)

        keys = jax.random.split(jax.random.key(0), num_seeds)
        found = jax.jit(lambda keys, study=study: jax.lax.map(study, keys))(keys)  # [N, P, 11]
        exact = jax.vmap(lambda p, n=length: values_of(p, n, SLIP)[1][0].mean())(policies)
        base = float(values_of(jnp.float32(BEHAVIOUR), length, SLIP)[1][0].mean())
        seconds = time.perf_counter() - start
        print(f"\n{length} steps, {num} trajectories: pi earns {float(exact[0]):.3f}")
        for i, name in enumerate(ESTIMATORS):
            own = np.asarray(found[:, 0, i])
            ranked, truth = found[:, 1:, i], jnp.broadcast_to(exact[1:], (num_seeds, 10))
            correlation = jax.vmap(jnp.corrcoef)(ranks(ranked), ranks(truth))[:, 0, 1]
            chosen = {
                "sharpe_ratio": metrics.sharpe_ratio(ranked, truth, base, k),
                "regret": metrics.regret_at_k(ranked, truth, 1),
                "rank_correlation": correlation,
            }
            lines.append(
                {
                    "estimator": name,
                    "steps": length,
                    "trajectories": num,
                    "seeds": num_seeds,
                    "true_value": float(exact[0]),
                    "bias": float(own.mean() - float(exact[0])),
                    "bias_standard_error": float(record.standard_error(own)),
                    "standard_deviation": float(own.std(ddof=1)),
                    "k": k,
                    **record.means(chosen),
                    "seconds": round(seconds, 1),
                    **record.where(),
                }
            )
            print(
                "  {estimator:9} bias {bias:8.3f} +- {bias_standard_error:6.3f}  deviation "
                "{standard_deviation:8.3f}   SharpeRatio@{k} {sharpe_ratio:6.2f}  regret@1 "
                "{regret:.3f}  rank correlation {rank_correlation:.2f}".format(**lines[-1]),
                flush=True,
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--lengths", nargs="+", type=int, default=[5, 20, 50])
    parser.add_argument("--trajectories", type=int, default=200)
    parser.add_argument("--k", type=int, default=4)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.seeds, args.lengths, args.trajectories, args.k)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()

"""Does a learned discount rise to where the goal is found, if a critic without it is the judge?

The claim of Bonnet et al. (2022, arXiv:2211.10550): a meta-gradient that judges learning by the
inner critic, whose values are themselves discounted, settles for a reward at hand, and one that
learns an outer critic, discounted as it is meant, does not. The task is DelayChain: arm 0 pays 1 at
once, arm 1 pays 2 ten steps later, and a learner prefers arm 1 if its discount is above .933.

    python -m benchmarks.learning.outer_value --out FILE

The discount is learned by Adam from several beginnings, the policy and its critics (linear in the
position) by gradient descent. The outer discount is 1 and the outer lambda 0, as in the paper's
chain, so that the critic decides. "fixed" learns no discount.
"""

import argparse
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import record
from rlax_pref import envs, values
from rlax_pref.agents import acting
from rlax_pref.envs.auto_reset import Chance
from rlax_pref.types import Array, Key, PyTree

CRITICS = ("outer", "inner", "fixed")
NUM_ENVS, WINDOW = 16, 44  # four times along the chain
ENV = envs.AutoReset(envs.DelayChain())


class Settings(NamedTuple):
    """Of the learners, inner and outer."""

    step_size: float = 0.5
    meta_step_size: float = 0.02
    entropy_weight: float = 0.005


class Carry(NamedTuple):
    """All that goes from one update to the next."""

    logit: Array  # [] of the discount
    meta: Any  # of Adam
    params: PyTree
    actor: acting.Acting
    window: values.Window


def apply(params: PyTree, obs: Array) -> values.ActorCritic:
    """A row of the tables for each position."""
    return values.ActorCritic(obs @ params["logits"], obs @ params["v"], obs @ params["v_outer"])


def collect(params: PyTree, actor: acting.Acting, key: Key) -> tuple[acting.Acting, values.Window]:
    """Every environment acts for a window."""

    def act(actor: acting.Acting, drawn: tuple[Key, Chance]) -> tuple[acting.Acting, values.Window]:
        key, chance = drawn
        action = jax.random.categorical(key, apply(params, actor.obs).logits)
        after, timestep, _ = acting.step(ENV, actor, action, chance)
        return after, values.Window(
            actor.obs,
            action,
            timestep.reward,
            timestep.discount,
            timestep.truncated,
            timestep.last_obs,
        )

    key_act, key_env = jax.random.split(key)
    chance = acting.draw(ENV, key_env, (WINDOW, *actor.obs.shape[:1]))
    return jax.lax.scan(act, actor, (jax.random.split(key_act, WINDOW), chance))


def learn(
    discount: Array, key: Key, critic: str, num_updates: int, settings: Settings
) -> tuple[Array, Array]:
    """Learns from one beginning, and returns the discount and how often arm 1 is taken, `[N]`."""
    optimizer = optax.adam(settings.meta_step_size)
    key_init, key_window, key_learn = jax.random.split(key, 3)
    actor = acting.init(ENV, key_init, NUM_ENVS)
    num = actor.obs.shape[-1]
    params = {"logits": jnp.zeros((num, 2)), "v": jnp.zeros(num), "v_outer": jnp.zeros(num)}
    logit = jnp.log(discount) - jnp.log1p(-discount)
    actor, window = collect(params, actor, key_window)

    def descend(params: PyTree, gradient: PyTree) -> PyTree:
        return jax.tree.map(lambda p, g: p - settings.step_size * g, params, gradient)

    def update(carry: Carry, key: Key) -> tuple[Carry, tuple[Array, Array]]:
        def judged(logit: Array, after: values.Window) -> tuple[Array, PyTree]:
            return values.outer_value_loss(
                jax.nn.sigmoid(logit),
                carry.params,
                apply,
                descend,
                carry.window,
                after,
                outer_lambda=0.0,
                critic="inner" if critic == "inner" else "outer",
                value_weight=1.0,
                entropy_weight=settings.entropy_weight,
            )

        _, params = judged(carry.logit, carry.window)  # parameters do not depend on `after`
        actor, after = collect(params, carry.actor, key)
        slope, _ = jax.grad(judged, has_aux=True)(carry.logit, after)
        change, meta = optimizer.update(slope, carry.meta)
        logit = carry.logit if critic == "fixed" else carry.logit + change
        takes_arm_1 = jax.nn.softmax(params["logits"][0])[1]
        return Carry(logit, meta, params, actor, after), (jax.nn.sigmoid(logit), takes_arm_1)

    carry = Carry(logit, optimizer.init(logit), params, actor, window)
    return jax.lax.scan(update, carry, jax.random.split(key_learn, num_updates))[1]


def run(discounts: list[float], num_seeds: int, num_updates: int) -> list[dict[str, Any]]:
    """Learns with each critic from each beginning, and returns a line for each."""
    keys, lines = jax.random.split(jax.random.key(0), num_seeds), []
    for critic in CRITICS:

        def one(discount: Array, key: Key, critic: str = critic) -> tuple[Array, Array]:
            return learn(discount, key, critic, num_updates, Settings())

        start = time.perf_counter()
        study = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
        learned, arm_1 = jax.tree.map(np.asarray, study(jnp.array(discounts), keys))
        seconds = time.perf_counter() - start
        for begin, discount, arm in zip(discounts, learned, arm_1, strict=True):
            value = 1.0 + arm[:, -1]  # undiscounted return from the start
            lines.append(
                {
                    "critic": critic,
                    "discount_at_first": begin,
                    "seeds": num_seeds,
                    "updates": num_updates,
                    "discount": float(discount[:, -1].mean()),
                    "discount_standard_error": float(record.standard_error(discount[:, -1])),
                    "return": float(value.mean()),
                    "return_standard_error": float(record.standard_error(value)),
                    "found": int((value > 1.5).sum()),
                    "discount_curve": _thin(discount),
                    "arm_1_curve": _thin(arm),
                    "seconds": round(seconds, 1),
                    **record.where(),
                }
            )
            print(
                "{critic:>5} from {discount_at_first:.2f}: discount {discount:.3f} "
                "+- {discount_standard_error:.3f}, return {return:.2f} "
                "+- {return_standard_error:.2f} of 2, found by {found} of {seeds}".format(
                    **lines[-1]
                ),
                flush=True,
            )
    return lines


def _thin(curves: np.ndarray) -> list[float]:
    parts = np.array_split(curves, min(20, curves.shape[1]), axis=1)
    return [round(float(part.mean()), 4) for part in parts]


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--discounts", nargs="+", type=float, default=[0.8, 0.9, 0.95])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--updates", type=int, default=1000)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.discounts, args.seeds, args.updates)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()

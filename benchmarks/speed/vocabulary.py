"""What do losses of tokens cost where the vocabulary is large?

    python -m benchmarks.speed.vocabulary --out FILE

Losses and their gradients, by the plain formulas, a chunk at a time (`rlax_pref.vocabulary`), and
so by a transformer that reads few responses at a time and keeps nothing (`remat`): of a law alone,
to features and last layer; and of DPO, of DPO with a divergence at each token, of PPO with an
entropy bonus and of GRPO with a divergence, to all parameters of a transformer. Memory is XLA's own
account, of arguments and gradients and of what else there is (scratch); times are of all cores
together, medians of rounds in which the ways take turns.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import networks, policies, reading, tokens, vocabulary
from rlax_pref.types import Array, PyTree
from rlax_pref.vocabulary import Head, Law

LENGTH, PROMPT = 64, 8


class Way(NamedTuple):
    """How outputs are read."""

    of_features: Callable[[Array, Head, Array], Law]
    law: Callable[..., Law]  # as `reading.law`
    compare: Callable[..., Array]  # as `reading.compare`
    remat: bool = False  # of the transformer


CHUNKED = Way(vocabulary.token_law, reading.law, reading.compare)
WAYS = {
    "plain": Way(
        lambda x, head, token: reading.token_law(vocabulary.logits(x, head), token),
        lambda network, params, prompt, response: reading.token_law(
            network.apply(params, prompt, response), response
        ),
        lambda function, network, params, other, prompt, response: function(
            network.apply(params, prompt, response), network.apply(other, prompt, response)
        ),
    ),
    "chunked": CHUNKED,
    "remat": CHUNKED._replace(remat=True),
}


class Data(NamedTuple):
    """Pairs of responses, `[B, 2, L]`, and the first policy."""

    prompt: Array
    response: Array
    log_prob: Array
    advantage: Array
    reference: PyTree


def dpo(way: Way, network: networks.TokenNetwork, params: PyTree, data: Data) -> Array:
    """With what the agent reports of the tokens."""
    law = way.law(network, params, data.prompt, data.response)
    anchor = way.law(network, data.reference, data.prompt, data.response)
    ratio = (law.log_prob - anchor.log_prob).sum(-1)
    return policies.dpo(ratio[:, 0], ratio[:, 1]).mean()


def ra_dpo(way: Way, network: networks.TokenNetwork, params: PyTree, data: Data) -> Array:
    """DPO less what the policy lost at each token, by its tail."""

    def risk(logits: Array, ref_logits: Array) -> Array:
        one = jnp.ones((*logits.shape[:-1], 1))
        return policies.sequential_divergence(
            logits[..., None, :], ref_logits[..., None, :], one, "cvar", level=0.5
        )

    law = way.law(network, params, data.prompt, data.response)
    anchor = way.law(network, data.reference, data.prompt, data.response)
    ratio = (law.log_prob - anchor.log_prob).sum(-1)
    lost = way.compare(risk, network, params, data.reference, data.prompt, data.response).sum(-1)
    return policies.tdpo1(ratio[:, 0], ratio[:, 1], lost[:, 0], lost[:, 1]).mean()


def ppo(way: Way, network: networks.TokenNetwork, params: PyTree, data: Data) -> Array:
    """Of tokens, with an entropy bonus."""
    law = way.law(network, params, data.prompt, data.response)
    loss = policies.ppo_clip(law.log_prob, data.log_prob, data.advantage, (0.2, 0.2))
    return (loss - 0.01 * law.entropy).mean()


def grpo(way: Way, network: networks.TokenNetwork, params: PyTree, data: Data) -> Array:
    """PPO of tokens, held back by the divergence from the first policy."""
    law = way.law(network, params, data.prompt, data.response)
    anchor = way.law(network, data.reference, data.prompt, data.response)
    loss = policies.ppo_clip(law.log_prob, data.log_prob, data.advantage, (0.2, 0.2))
    loss += 0.04 * policies.kl(law.log_prob, anchor.log_prob, "k3")
    return tokens.aggregate(loss, jnp.ones(loss.shape), "sequence_mean")


LOSSES = {"dpo": dpo, "ra_dpo": ra_dpo, "ppo": ppo, "grpo": grpo}


def task(
    name: str, num_tokens: int, width: int, size: int
) -> tuple[Callable[[Way], Callable[..., Any]], tuple[Any, ...]]:
    """A loss with its gradient, given a way, and its arguments."""
    keys = jax.random.split(jax.random.key(0), 6)
    if name == "law":
        x = jax.random.normal(keys[0], (num_tokens, width))
        head = Head(jax.random.normal(keys[1], (width, size)) / width**0.5, jnp.zeros(size))
        token = jax.random.randint(keys[2], (num_tokens,), 0, size)

        def of_law(way: Way) -> Callable[..., Any]:
            def loss(x: Array, head: Head) -> Array:
                law = way.of_features(x, head, token)
                return -(law.log_prob + 0.01 * law.entropy).mean()

            return jax.value_and_grad(loss, (0, 1))

        return of_law, (x, head)

    made = partial(networks.transformer, size, size, PROMPT, LENGTH, width=width)
    start = jax.jit(made().init)
    shape = (num_tokens // (2 * LENGTH), 2)
    data = Data(
        prompt=jax.random.randint(keys[2], (*shape, PROMPT), 0, size),
        response=jax.random.randint(keys[3], (*shape, LENGTH), 0, size),
        log_prob=jnp.full((*shape, LENGTH), -np.log(size)),
        advantage=jax.random.normal(keys[4], (*shape, LENGTH)),
        reference=start(keys[1]),
    )

    def of_policy(way: Way) -> Callable[..., Any]:
        network = made(remat=way.remat)
        loss = lambda params, data: LOSSES[name](way, network, params, data)
        return jax.value_and_grad(loss)

    return of_policy, (start(keys[0]), data)


def measure(name: str, num_tokens: int, width: int, size: int, rounds: int) -> list[dict[str, Any]]:
    """A line for each way."""
    gradient, given = task(name, num_tokens, width, size)
    programs, lines, found = {}, {}, {}
    for way, how in WAYS.items():
        if name == "law" and how.remat:
            continue
        start = time.process_time()
        programs[way] = jax.jit(gradient(how)).lower(*given).compile()
        memory = programs[way].memory_analysis()
        kept = memory.argument_size_in_bytes + memory.output_size_in_bytes
        lines[way] = {
            "loss": name,
            "way": way,
            "tokens": num_tokens,
            "width": width,
            "vocabulary": size,
            "compile_cpu_seconds": round(time.process_time() - start, 3),
            "scratch_megabytes": round(memory.temp_size_in_bytes / 2**20, 2),
            "arguments_and_gradients_megabytes": round(kept / 2**20, 2),
        }
        if rounds:
            found[way] = jax.block_until_ready(programs[way](*given))
    times: dict[str, list[float]] = {way: [] for way in programs}
    for _ in range(rounds):
        for way, program in programs.items():
            start = time.process_time()
            jax.block_until_ready(program(*given))
            times[way].append(time.process_time() - start)
    for way, line in lines.items():
        line |= record.where()
        if rounds:
            ratio = np.median(np.array(times[way]) / np.array(times["plain"]))
            difference = lambda a, b: float(jnp.abs(a - b).max())
            worst = jax.tree.map(difference, found["plain"], found[way])
            largest = jax.tree.map(lambda a: float(jnp.abs(a).max()), found["plain"])
            line |= {
                "cpu_seconds": round(float(np.median(times[way])), 4),
                "time_ratio": round(float(ratio), 3),
                "largest_difference": max(jax.tree.leaves(worst)),
                "largest": max(jax.tree.leaves(largest)),
            }
        print(
            "{loss:>7} {vocabulary:>8,} {way:>8}: {scratch_megabytes:>8.1f} MB scratch beside "
            "{arguments_and_gradients_megabytes:.1f} MB".format(**line),
            f"{line.get('cpu_seconds', ''):>8} s",
            flush=True,
        )
    return list(lines.values())


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["law", *LOSSES]
    parser.add_argument("--losses", nargs="+", choices=names, default=names)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[32_768, 131_072])
    parser.add_argument("--rounds", type=int, default=5, help="0: memory alone")

    def run(args: argparse.Namespace) -> list[dict[str, Any]]:
        return [
            line
            for name in args.losses
            for size in args.vocabularies
            for line in measure(name, args.tokens, args.width, size, args.rounds)
        ]

    record.run(parser, run, arguments)


if __name__ == "__main__":
    main()

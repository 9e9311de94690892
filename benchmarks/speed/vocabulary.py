"""What do losses of tokens cost where the vocabulary is large?

    python -m benchmarks.speed.vocabulary --out FILE

Log-probabilities and entropies of a batch of tokens, and their gradients to features and last
layer, by the plain formula and a chunk at a time (`rlax_pref.vocabulary`). Memory is XLA's own
account of what a program needs beside its arguments and results; times are medians of rounds in
which the two take turns.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import sampling, vocabulary
from rlax_pref.types import Array
from rlax_pref.vocabulary import Head


def plain(features: Array, head: Head, token: Array) -> tuple[Array, Array]:
    """All logits at once."""
    return sampling.token_law(features @ head.kernel + head.bias[None], token)


def loss(law: Callable[..., tuple[Array, Array]]) -> Callable[..., Array]:
    """A policy loss with an entropy bonus."""

    def value(features: Array, head: Head, token: Array) -> Array:
        log_prob, entropy = law(features, head, token)
        return -(log_prob + 0.01 * entropy).mean()

    return value


def measure(num_tokens: int, width: int, size: int, rounds: int) -> list[dict[str, Any]]:
    """A line for either way."""
    key_x, key_head, key_token = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, (num_tokens, width))
    head = Head(jax.random.normal(key_head, (width, size)) / width**0.5, jnp.zeros(size))
    token = jax.random.randint(key_token, (num_tokens,), 0, size)
    ways = {"plain": plain, "chunked": vocabulary.token_law}
    programs, lines, found = {}, {}, {}
    for name, law in ways.items():
        start = time.perf_counter()
        gradient = jax.value_and_grad(loss(law), (0, 1))
        programs[name] = jax.jit(gradient).lower(x, head, token).compile()
        memory = programs[name].memory_analysis()
        lines[name] = {
            "way": name,
            "tokens": num_tokens,
            "width": width,
            "vocabulary": size,
            "compile_seconds": round(time.perf_counter() - start, 3),
            "scratch_megabytes": round(memory.temp_size_in_bytes / 2**20, 2),
            "gradient_megabytes": round(memory.output_size_in_bytes / 2**20, 2),
        }
        found[name] = jax.block_until_ready(programs[name](x, head, token))
    worst = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), *found.values())
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(x, head, token))
            times[name].append(time.perf_counter() - start)
    ratio = np.median(np.array(times["chunked"]) / np.array(times["plain"]))
    for name, line in lines.items():
        line |= {
            "seconds": round(float(np.median(times[name])), 4),
            "time_ratio": round(float(ratio), 3),
            "largest_difference": max(jax.tree.leaves(worst)),
            **record.where(),
        }
        print(
            "{vocabulary:>7,} {way:>8}: {scratch_megabytes:>8.1f} MB scratch, "
            "{seconds:.3f} s".format(**line),
            flush=True,
        )
    return list(lines.values())


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[32_768, 131_072])
    parser.add_argument("--rounds", type=int, default=7)

    def run(args: argparse.Namespace) -> list[dict[str, Any]]:
        return [
            line
            for size in args.vocabularies
            for line in measure(args.tokens, args.width, size, args.rounds)
        ]

    record.run(parser, run, arguments)


if __name__ == "__main__":
    main()

"""How many tokens a second does a transformer sample?

    python -m benchmarks.speed.sampling --out FILE

With the keys and values of earlier tokens kept, as `sampling.sample` does it, and with the whole
prefix read once more for every token; in one loop, with one draw of numbers. Both write the same
tokens. Times are medians of rounds in which the two take turns.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import networks, sampling
from rlax_pref.types import Array, PyTree

PROMPT = 8


def without_memory(network: networks.TokenNetwork, max_length: int) -> networks.TokenNetwork:
    """The same network, which reads all that is written so far for each token."""

    def output(params: PyTree, memory: Any) -> Array:
        prompt, response, position = memory
        outputs = network.apply(params, prompt, response)
        return jax.lax.dynamic_index_in_dim(outputs, position, axis=-2, keepdims=False)

    def start(params: PyTree, prompt: Array) -> tuple[PyTree, Array]:
        blank = jnp.zeros((*prompt.shape[:-1], max_length), jnp.int32)
        memory = (prompt, blank, jnp.int32(0))
        return memory, output(params, memory)

    def step(params: PyTree, memory: Any, token: Array) -> tuple[PyTree, Array]:
        prompt, response, position = memory
        response = jax.lax.dynamic_update_slice_in_dim(
            response, token[..., None], position, axis=-1
        )
        memory = (prompt, response, position + 1)
        return memory, output(params, memory)

    return network._replace(start=start, step=step)


def measure(
    responses: int, length: int, vocabulary: int, rounds: int, **kind: Any
) -> list[dict[str, Any]]:
    """A line for either way."""
    network = networks.transformer(vocabulary, vocabulary, PROMPT, length, **kind)
    key_params, key_prompt, key = jax.random.split(jax.random.key(0), 3)
    params = jax.jit(network.init)(key_params)
    prompt = jax.random.randint(key_prompt, (responses, PROMPT), 0, vocabulary)
    ways = {"cached": network, "recomputed": without_memory(network, length)}
    programs, lines, found = {}, {}, {}
    for way, how in ways.items():
        start = time.perf_counter()
        write = jax.jit(
            lambda params, prompt, key, how=how: sampling.sample(
                how, params, prompt, key, max_length=length
            )
        )
        programs[way] = write.lower(params, prompt, key).compile()
        lines[way] = {
            "way": way,
            "responses": responses,
            "length": length,
            "vocabulary": vocabulary,
            **kind,
            "compile_seconds": round(time.perf_counter() - start, 3),
        }
        found[way] = jax.block_until_ready(programs[way](params, prompt, key))
    same = np.mean(found["cached"].response == found["recomputed"].response)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(params, prompt, key))
            times[way].append(time.perf_counter() - start)
    ratio = np.median(np.array(times["recomputed"]) / np.array(times["cached"]))
    for way, line in lines.items():
        seconds = float(np.median(times[way]))
        line |= {
            "seconds": round(seconds, 5),
            "tokens_per_second": round(responses * length / seconds),
            "times_as_fast": round(float(ratio), 2),
            "same_tokens": round(float(same), 4),
            **record.where(),
        }
        print(
            "{responses:>4} responses of {length:>4}, {vocabulary:>6,} tokens, {dtype}, {way:>10}: "
            "{tokens_per_second:>9,} tokens a second".format(**line),
            flush=True,
        )
    return list(lines.values())


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=16)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[32])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)

    def run(args: argparse.Namespace) -> list[dict[str, Any]]:
        kind = dict(width=args.width, num_layers=args.layers, dtype=args.dtype)
        return [
            line
            for size in args.vocabularies
            for length in args.lengths
            for line in measure(args.responses, length, size, args.rounds, **kind)
        ]

    record.run(parser, run, arguments)


if __name__ == "__main__":
    main()

"""Which evaluation of a linear recurrence is fastest, and how far is a scan worth unrolling?

Measures `recurrences.linear` over `[T, B]` arrays, as one program of its own and as its gradient,
compiling and running apart. One JSON line per condition, then a table of the winners:

    python -m benchmarks.speed.recurrences --out benchmarks/results/speed_recurrences.jsonl
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks import record
from rlax_pref import recurrences

SHAPES = ((16, 1), (128, 4), (128, 64), (1024, 1), (1024, 64), (2048, 4096))  # [T, B]
UNROLLS = (1, 2, 4, 8, 16, 32)
METHODS = (*(("scan", unroll) for unroll in UNROLLS), ("associative", 1))


def value(method: Any, unroll: int) -> Callable:
    return lambda a, b: recurrences.linear(a, b, method=method, unroll=unroll)


def gradient(method: Any, unroll: int) -> Callable:
    return jax.grad(lambda a, b: value(method, unroll)(a, b).sum(), argnums=(0, 1))


def measure(function: Callable, shape: tuple[int, int], seconds: float) -> dict[str, float]:
    """Seconds to compile, and the quickest and median microseconds of runs for `seconds`."""
    keys = jax.random.split(jax.random.key(0))
    a, b = jax.random.uniform(keys[0], shape), jax.random.normal(keys[1], shape)
    start = time.perf_counter()
    program = jax.jit(function).lower(a, b).compile()
    compile_s = time.perf_counter() - start
    jax.block_until_ready(program(a, b))
    runs: list[float] = []
    while len(runs) < 5 or sum(runs) < seconds:
        start = time.perf_counter()
        jax.block_until_ready(program(a, b))
        runs.append(time.perf_counter() - start)
    return {
        "compile_s": round(compile_s, 4),
        "run_us": round(1e6 * statistics.median(runs), 1),
        "best_us": round(1e6 * min(runs), 1),
    }


def conditions(seconds: float) -> Iterator[dict[str, Any]]:
    for shape, (what, make), (method, unroll) in itertools.product(
        SHAPES, (("value", value), ("gradient", gradient)), METHODS
    ):
        yield {
            "T": shape[0],
            "B": shape[1],
            "what": what,
            "method": method,
            "unroll": unroll,
            **measure(make(method, unroll), shape, seconds),
            **record.where(),
        }


def table(rows: list[dict[str, Any]]) -> str:
    """Median microseconds (seconds to compile), the quickest of each line starred."""
    names = [f"scan/{unroll}" for unroll in UNROLLS] + ["associative"]
    lines = [f"{'T x B':>12} {'what':>9}" + "".join(f"{name:>20}" for name in names)]
    for (t, b, what), group in itertools.groupby(rows, lambda r: (r["T"], r["B"], r["what"])):
        cells = list(group)
        best = min(cell["run_us"] for cell in cells)
        line = "".join(
            f"{c['run_us']:>10.0f}{'*' if c['run_us'] == best else ' '} ({c['compile_s']:>5.2f} s)"
            for c in cells
        )
        lines.append(f"{t:>6} x {b:>4}{what:>9} {line}")
    return "\n".join(lines)


def run(seconds: float) -> list[dict[str, Any]]:
    """Measures all conditions, and prints each as it comes and the table of them."""
    rows = []
    for row in conditions(seconds):
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(table(rows))
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.2, help="of runs per condition")
    record.run(parser, lambda args: run(args.seconds), arguments)


if __name__ == "__main__":
    main()

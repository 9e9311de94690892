"""How a measured program and its judge talk: one JSON object a line.

A program says what it took to make it ready, then trains once for every line it is sent, each time
from another seed, and in the end says how good what it trained became. It is told what to train by
its only argument, a JSON object:

    agent     ppo, dqn or sac
    env       what to act in, by the name its library has for it
    settings  of the agent, under this project's names
    env_steps, num_seeds, episodes to judge by
    devices   how many share the seeds
    threads   how many to compute with, if not one a core
    first     whether it will train only once, to be over with the first update
    checkout  where the library is, if it is not installed
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Program = tuple[Callable[[int], Any], Callable[[list[Any]], list[float] | None]]


def asked() -> dict[str, Any]:
    """What to train."""
    return json.loads(sys.argv[1])


def take(make: Callable[[], tuple[Any, ...]]) -> None:
    """Makes a program, and runs it whenever told to.

    Args:
      make: returns two functions: one trains in the turn of this number and waits for the result,
        the other says what returns the results of all turns earn, or None. May return besides for
        how many seconds it trained already.
    """
    start = time.perf_counter()
    train, judge, *trained = make()
    say({"compile_seconds": time.perf_counter() - start - sum(trained)})
    results = []
    for turn, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        results.append(train(turn))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say({"seconds": seconds, "peak_megabytes": peak})
    say({"returns": judge(results)})


def compiled(
    run: Callable[[Any], Any],
    judge: Callable[[Any, Any], Any] | None,
    num_seeds: int,
    num_devices: int = 1,
    build: Callable[[Callable[[], Any], list[Any]], Any] = lambda lower, _: lower().compile(),
) -> Program:
    """Two functions for `take`, which serve all seeds at once.

    Args:
      run: trains from a key.
      judge: what return the result earns, from it and a key; None if nothing can be said.
      num_seeds: how many.
      num_devices: how many share them.
      build: compiles, given how to lower and for which devices.
    """
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    devices = jax.devices()[:num_devices]
    mesh = Mesh(devices, ("seed",))
    where = NamedSharding(mesh, PartitionSpec("seed"))
    batch = jax.vmap if num_seeds > 1 else lambda f: f  # one seed alone may skip branches

    def key(turn: int) -> Any:
        key = jax.random.key(turn)
        return jax.device_put(jax.random.split(key, num_seeds), where) if num_seeds > 1 else key

    program = build(lambda: jax.jit(batch(run)).lower(key(0)), devices)

    def earned(results: list[Any]) -> list[float] | None:
        if judge is None:
            return None
        judged = jax.jit(batch(judge))
        return [float(judged(x, key(turn)).mean()) for turn, x in enumerate(results)]

    return lambda turn: jax.block_until_ready(program(key(turn))), earned


def say(line: dict[str, Any]) -> None:
    """Writes one line."""
    print(json.dumps(line), flush=True)

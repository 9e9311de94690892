"""How a measured program and its judge talk: one JSON object a line.

A program says what it took to make it ready, then trains once for every line it is sent, and in
the end says how good what it trained became. Needs nothing but Python, so that it can be used in
any environment.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def take(make: Callable[[], tuple[Callable[[], Any], Callable[[Any], float]]]) -> None:
    """Makes a program, and runs it whenever told to.

    Args:
      make: returns two functions: one trains anew and waits for the result, the other says what
        return the result earns.
    """
    start = time.perf_counter()
    train, judge = make()
    say({"compile_seconds": time.perf_counter() - start})
    result = None
    for _ in sys.stdin:
        start = time.perf_counter()
        result = train()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say({"seconds": seconds, "peak_megabytes": peak})
    say({"return": judge(result)})


def say(line: dict[str, Any]) -> None:
    """Writes one line."""
    print(json.dumps(line), flush=True)

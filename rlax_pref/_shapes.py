"""Checks of shapes while tracing, whose messages name the function and the argument."""

from collections.abc import Sequence
from typing import Any

import chex
import numpy as np


def assert_like(caller: str, *, scalars: Sequence[str] = (), **arrays: Any) -> None:
    """Asserts that all `arrays` have the shape of the first one; `None` passes.

    Nothing is broadcast in silence: a `[T]` array beside `[T, B]` ones is refused, as it would
    line up with B wherever T == B. Those named in `scalars` may also be scalars.

    Raises:
      AssertionError: naming the argument whose shape differs.
    """
    reference, *_ = arrays
    shape = np.shape(arrays[reference])
    for name, x in arrays.items():
        if x is None or (name in scalars and np.ndim(x) == 0):
            continue
        scalar = "a scalar or " if name in scalars else ""
        message = f"{caller}: {name} must be {scalar}shaped like {reference}"
        chex.assert_shape(np.broadcast_to(0, np.shape(x)), shape, custom_message=message)

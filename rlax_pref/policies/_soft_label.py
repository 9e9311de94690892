"""What a loss of hard labels becomes for soft ones."""

from collections.abc import Callable

from rlax_pref.types import Array, Numeric


def soft_label(
    loss: Callable[[Array, Array], Array], chosen: Array, rejected: Array, p_first: Numeric
) -> Array:
    """The loss that is expected if `chosen` is preferred with probability `p_first`."""
    return p_first * loss(chosen, rejected) + (1 - p_first) * loss(rejected, chosen)

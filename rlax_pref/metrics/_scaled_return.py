"""A mean return on a common scale (Knox et al., 2022, arXiv:2206.02231)."""

from rlax_pref.types import Array


def scaled_return(own: Array, uniform: Array, optimal: Array) -> Array:
    """A mean return where uniform is 0 and optimal is 1 (Knox et al., 2022, arXiv:2206.02231).

        (own - uniform) / (optimal - uniform)

    Args:
      own: mean return of the policy in question.
      uniform: mean return of acting uniformly at random.
      optimal: mean return of acting optimally.

    Returns:
      At most 1, unbounded below; from 0.9 on it is called near-optimal. `tabular.scaled_return`
      computes all three exactly.
    """
    return (own - uniform) / (optimal - uniform)

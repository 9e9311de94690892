"""Advantage-calibrated optimisation, ACO, of Genius (Xu et al., 2025, arXiv:2504.08672)."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.policies._dpo import dpo
from rlax_pref.types import Array, Numeric

_MAX_EXPONENT = 20.0
Calibration = Literal["relax", "strengthen"]
CALIBRATIONS: tuple[str, ...] = get_args(Calibration)


def aco(
    chosen: Array,
    rejected: Array,
    chosen_advantage: Array,
    rejected_advantage: Array,
    beta: Numeric = 0.1,
    *,
    alpha: Numeric = 1.0,
    calibration: Calibration = "relax",
) -> Array:
    """Advantage-calibrated optimisation, ACO, of Genius (Xu et al., 2025, arXiv:2504.08672).

    `dpo` that holds back where the loser looks better than the winner:

        loss = -log sigmoid(beta * (chosen - g * rejected))
        g    = min(1, exp((chosen_advantage - rejected_advantage) / alpha))

    so it is `dpo` wherever the winner looks at least as good.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses, each a sum over its tokens.
        Gets a gradient, as the next one does.
      rejected: `[...]` the same of the others.
      chosen_advantage: `[...]` of the preferred ones: in Genius how much more likely a completion
        became by the step.
      rejected_advantage: `[...]` of the others.
      beta: > 0, what a nat counts.
      alpha: > 0, in units of advantage: how soon to relax.
      calibration: "relax" is the paper's, above; "strengthen" is its code's, which has max in the
        place of min and so pushes harder against losers that look bad, g no larger than exp(20).

    Returns:
      `[...]` loss of each pair, in nats; not reduced.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.
      ValueError: the calibration is not one of the two.
    """
    assert_like(
        "aco",
        chosen=chosen,
        rejected=rejected,
        chosen_advantage=chosen_advantage,
        rejected_advantage=rejected_advantage,
    )
    if calibration not in CALIBRATIONS:
        raise ValueError(
            f"aco: calibration={calibration!r} must be one of {', '.join(CALIBRATIONS)}"
        )
    least, most = (-jnp.inf, 0.0) if calibration == "relax" else (0.0, _MAX_EXPONENT)
    lead = jax.lax.stop_gradient(chosen_advantage - rejected_advantage)
    return dpo(chosen, jnp.exp(jnp.clip(lead / alpha, least, most)) * rejected, beta)

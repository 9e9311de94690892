"""Losses of pairs by their names, as TRL has them (von Werra et al., 2020)."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import jax.numpy as jnp

from rlax_pref import names
from rlax_pref.policies._aot import aot, aot_unpaired
from rlax_pref.policies._apo import apo_down, apo_zero
from rlax_pref.policies._bco import bco_pair
from rlax_pref.policies._completion import Completion
from rlax_pref.policies._cpl import cpl
from rlax_pref.policies._discopop import discopop
from rlax_pref.policies._dpo import cdpo, dpo, robust_dpo
from rlax_pref.policies._exo import exo_pair
from rlax_pref.policies._gpo import sppo
from rlax_pref.policies._ipo import ipo
from rlax_pref.policies._nca import nca_pair
from rlax_pref.policies._orpo import orpo
from rlax_pref.policies._rpo import rpo
from rlax_pref.policies._simpo import simpo
from rlax_pref.policies._slic import hinge, slic
from rlax_pref.policies._soft_label import soft_label
from rlax_pref.policies._tdpo import tdpo1, tdpo2
from rlax_pref.types import Array, Numeric

PairwiseLoss = Callable[..., Array]  # (chosen, rejected, beta, **options) -> [...]


def _seen(name: str, loss: PairwiseLoss) -> PairwiseLoss:
    """A loss of one number of each response, which `name` says, as one of completions."""
    see = attrgetter(name)
    return lambda chosen, rejected, beta, **options: loss(
        see(chosen), see(rejected), beta, **options
    )


def _rpo(chosen: Completion, rejected: Completion, beta: Numeric, **options: Any) -> Array:
    p_first, cumulative = options.get("p_first", 1.0), options.get("form") == "cumulative"
    see = attrgetter("log_prob" if cumulative else "mean_log_prob")
    imitated = p_first * see(chosen) + (1 - p_first) * see(rejected)
    return rpo(chosen.log_ratio, rejected.log_ratio, imitated, beta, **options)


def _tdpo(loss: PairwiseLoss) -> PairwiseLoss:
    return lambda chosen, rejected, beta, **options: loss(
        chosen.log_ratio,
        rejected.log_ratio,
        chosen.divergence,
        rejected.divergence,
        beta,
        **options,
    )


def _sppo_hard(chosen: Array, rejected: Array, beta: Numeric, *, p_first: Numeric = 1.0) -> Array:
    """`sppo` where the preferred always wins."""
    won = lambda x, rate: sppo(x, jnp.full_like(x, rate), beta)
    return soft_label(lambda x, y: won(x, 1.0) + won(y, 0.0), chosen, rejected, p_first)


def _sft(chosen: Array, rejected: Array, beta: Numeric, *, p_first: Numeric = 1.0) -> Array:
    del beta
    return soft_label(lambda x, y: -x, chosen, rejected, p_first)


def _aot(chosen: Completion, rejected: Completion, beta: Numeric, **options: Any) -> Array:
    margin = chosen.log_prob - rejected.log_prob
    return aot(margin, chosen.ref_log_prob - rejected.ref_log_prob, beta, **options)


PAIRWISE: Mapping[str, PairwiseLoss] = {
    "sigmoid": _seen("log_ratio", dpo),
    "sigmoid_norm": _seen("mean_log_ratio", dpo),
    "cdpo": _seen("log_ratio", cdpo),
    "robust": _seen("log_ratio", robust_dpo),
    "exo_pair": _seen("log_ratio", exo_pair),
    "nca_pair": _seen("log_ratio", nca_pair),
    "bco_pair": _seen("log_ratio", bco_pair),
    "apo_zero": _seen("log_ratio", apo_zero),
    "apo_down": _seen("log_ratio", apo_down),
    "discopop": _seen("log_ratio", discopop),
    "sppo_hard": _seen("log_ratio", _sppo_hard),
    "hinge": _seen("log_ratio", hinge),
    "ipo": _seen("mean_log_ratio", ipo),
    "ipo_sum": _seen("log_ratio", ipo),
    "cpl": _seen("log_prob", cpl),
    "cpl_kl": _seen("log_ratio", cpl),
    "rpo": _rpo,
    "tdpo1": _tdpo(tdpo1),
    "tdpo2": _tdpo(tdpo2),
    "slic": _seen("log_prob", slic),
    "orpo": _seen("mean_log_prob", orpo),
    "simpo": _seen("mean_log_prob", simpo),
    "sft": _seen("mean_log_prob", _sft),
}
# These rank the pairs of a batch, the last axis.
RANKED: Mapping[str, PairwiseLoss] = {
    "aot": _aot,
    "aot_unpaired": _seen("log_ratio", aot_unpaired),
    "aot_pair": _seen("log_ratio", aot_unpaired),
}
NEEDS_DIVERGENCE = ("tdpo1", "tdpo2")
WITHOUT_REFERENCE = ("cpl", "slic", "orpo", "simpo", "sft")


def pairwise(
    loss: str, chosen: Completion, rejected: Completion, beta: Numeric = 0.1, **options: Any
) -> Array:
    """Any loss of pairs, by its name in TRL (von Werra et al., 2020).

    | `loss`           | function              | of each response     | `beta` is            |
    |------------------|-----------------------|----------------------|----------------------|
    | `sigmoid`        | `dpo`                 | log-ratio            | beta                 |
    | `sigmoid_norm`   | `dpo`                 | log-ratio of a token | beta                 |
    | `cdpo`           | `cdpo`                | log-ratio            | beta                 |
    | `robust`         | `robust_dpo`          | log-ratio            | beta                 |
    | `exo_pair`       | the same              | log-ratio            | beta                 |
    | `nca_pair`       | the same              | log-ratio            | beta                 |
    | `bco_pair`       | the same              | log-ratio            | beta                 |
    | `apo_zero`       | the same              | log-ratio            | beta                 |
    | `apo_down`       | the same              | log-ratio            | beta                 |
    | `discopop`       | the same              | log-ratio            | beta                 |
    | `sppo_hard`      | `sppo`, rates 1 and 0 | log-ratio            | beta                 |
    | `aot`            | `aot`, of a batch     | both                 | beta                 |
    | `aot_unpaired`   | the same, of a batch  | log-ratio            | beta                 |
    | `hinge`          | `hinge`               | log-ratio            | beta                 |
    | `ipo`            | `ipo`                 | log-ratio of a token | tau                  |
    | `ipo_sum`        | `ipo`                 | log-ratio            | tau                  |
    | `cpl`            | `cpl`                 | log-probability      | alpha                |
    | `cpl_kl`         | `cpl`                 | log-ratio            | alpha                |
    | `rpo`            | `rpo`                 | both                 | beta                 |
    | `tdpo1`, `tdpo2` | the same              | log-ratio, divergence| beta                 |
    | `slic`           | `slic`                | log-probability      | weight of imitation  |
    | `orpo`           | `orpo`                | that of a token      | weight of the odds   |
    | `simpo`          | `simpo`               | that of a token      | beta                 |
    | `sft`            | the preferred's `nll` | that of a token      | nothing              |

    TRL's `sigmoid` with `label_smoothing` is `cdpo` here; `aot_pair`, as TRL called it once, is
    `aot_unpaired`. Where TRL's `sft` counts tokens alike, here responses count alike.

    Args:
      loss: see above.
      chosen: the preferred responses, as `[...]` numbers; see `completion`.
      rejected: the others.
      beta: of the loss; see above.
      options: of the loss: `p_first`, `label_smoothing`, `margin`, ...

    Returns:
      `[...]` loss of each pair; not reduced.

    Raises:
      ValueError: no such loss; the message suggests one.
    """
    return names.lookup({**PAIRWISE, **RANKED}, loss, "loss")(chosen, rejected, beta, **options)

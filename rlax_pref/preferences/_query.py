"""Which pairs to ask about (Christiano et al., 2017, arXiv:1706.03741)."""

import jax

from rlax_pref.types import Array


def disagreement(z: Array) -> Array:
    """How much models differ on a choice (Christiano et al., 2017, arXiv:1706.03741).

        std over members of sigmoid(z)

    Of many pairs, PEBBLE (Lee et al., 2021, arXiv:2106.05091) asks about those on which its models
    differ most: there a label teaches at least some of them something.

    Args:
      z: `[M, ...]` score of the first less that of the second, of each of M models.

    Returns:
      `[...]` in [0, 1/2]; 0 where there is one model.
    """
    return jax.nn.sigmoid(z).std(axis=0)


def doubt(z: Array) -> Array:
    """The entropy of a choice under Bradley-Terry (Lee et al., 2021, arXiv:2106.05091).

        -p log p - (1 - p) log(1 - p),    p = sigmoid(z)

    What can be asked of a single model: where does it not know? Of a choice that is a coin's toss
    in truth, the answer says nothing all the same.

    Args:
      z: `[...]` score of the first less that of the second.

    Returns:
      `[...]` nats, from 0 to log 2 where z is 0; finite with its gradient.
    """
    p, q = jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
    return p * jax.nn.softplus(-z) + q * jax.nn.softplus(z)

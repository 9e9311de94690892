"""The values that losses of preferences are known by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import policies, preferences, rewards

pytestmark = pytest.mark.usefixtures("strict")

ZERO, TWO = jnp.float32(0.0), jnp.float32(2.0)
LOG = lambda x: jnp.log(jnp.float32(x))
ANGLES = jnp.float32([0, 2 * np.pi / 3])
ARROWS = jnp.stack([jnp.cos(ANGLES), jnp.sin(ANGLES)], -1)


def kto(desirable):
    return policies.kto(TWO, jnp.float32(desirable), jnp.float32(0.5))


@pytest.mark.parametrize(
    ("loss", "value"),
    (
        (lambda: policies.dpo(TWO, ZERO), 0.598139),
        (lambda: policies.cdpo(TWO, ZERO, label_smoothing=0.2), 0.638139),
        (lambda: policies.ipo(TWO, ZERO), 9.0),
        (lambda: policies.hinge(TWO, ZERO), 0.8),
        (lambda: policies.orpo(LOG(0.5), LOG(0.25), 0.1), 0.721915),
        (lambda: policies.simpo(jnp.float32(0.5), ZERO, 2.5, margin=0.4), 0.575939),
        (lambda: policies.exo_pair(TWO, ZERO, label_smoothing=0.2), 0.159034),
        (lambda: policies.nca_pair(TWO, ZERO, 0.5), 1.316466),
        (lambda: policies.bco_pair(TWO, ZERO, shift=0.1), 1.288793),
        (lambda: policies.apo_zero(TWO, ZERO), 0.950166),
        (lambda: policies.apo_down(TWO, ZERO), 1.0),
        (lambda: policies.discopop(TWO, ZERO), 0.814763),
        (lambda: kto(1.0), 0.462570),
        (lambda: kto(0.0), 0.537430),
        (lambda: policies.tdpo1(TWO, ZERO, 0.3, 0.5), 0.607192),
        (lambda: policies.tdpo2(TWO, ZERO, 0.3, 0.5, alpha=0.5), 0.602653),
        (lambda: policies.cpl(ZERO - 1, ZERO - 2, 1.0), 0.313262),
        (lambda: policies.cpl(ZERO - 1, ZERO - 2, 1.0, bias=0.5), 0.693147),
        (lambda: policies.cpl(ZERO - 11, ZERO - 12, 1.0, bias=0.5), 5.006715),
        (
            lambda: rewards.process_loss(
                jnp.float32([0.2, -0.1, 0.4]), jnp.ones(3), jnp.float32(1)
            ),
            0.680725,
        ),
        (lambda: policies.d3po(ZERO + 9, ZERO - 9), 0.683164),
        (lambda: policies.d3po(ZERO - 9, ZERO + 9), 0.703231),
        (lambda: policies.uft(ZERO, jnp.float32(1.0)), 0.25),
        (lambda: jax.nn.sigmoid(preferences.gpm(*ARROWS) / 0.1), 0.999827),
    ),
)
def test_values_they_are_known_by(loss, value):
    np.testing.assert_allclose(loss(), value, atol=1e-6)

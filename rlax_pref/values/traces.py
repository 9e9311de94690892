"""How far is what was done next to be believed? Traces `c_t` for `values.retrace`.

All take the same arguments, so that one can stand in for another: the log-probabilities of the
action taken under the policy to evaluate (pi) and under the one that acted (mu), `[...]` both,
and `lambda_`, a scalar or `[...]`. All return `[...]`, >= 0.

  retrace               lambda min(1, pi / mu)   safe for any pi and mu, and long where they agree
  q_lambda              lambda                   longest; converges only while pi is near mu
  tree_backup           lambda pi                safe, needs no mu, but short even on policy
  importance_sampling   lambda pi / mu           unbiased whatever the critic, of unbounded variance
"""

import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def retrace(log_pi_t: Array, log_mu_t: Array, lambda_: Numeric = 1.0) -> Array:
    """Retrace(lambda) (Munos et al., 2016, arXiv:1606.02647): `lambda_ * min(1, pi / mu)`."""
    _check("retrace", log_pi_t, log_mu_t, lambda_)
    return lambda_ * jnp.exp(jnp.minimum(log_pi_t - log_mu_t, 0.0))


def q_lambda(log_pi_t: Array, log_mu_t: Array, lambda_: Numeric = 1.0) -> Array:
    """Q(lambda), off-policy corrected (Harutyunyan et al., 2016, arXiv:1602.04951): `lambda_`."""
    _check("q_lambda", log_pi_t, log_mu_t, lambda_)
    return lambda_ * jnp.ones_like(log_pi_t)


def tree_backup(log_pi_t: Array, log_mu_t: Array, lambda_: Numeric = 1.0) -> Array:
    """Tree backup (Precup, Sutton & Singh, 2000, ICML): `lambda_ * pi`."""
    _check("tree_backup", log_pi_t, log_mu_t, lambda_)
    return lambda_ * jnp.exp(log_pi_t)


def importance_sampling(log_pi_t: Array, log_mu_t: Array, lambda_: Numeric = 1.0) -> Array:
    """Per-decision importance sampling (Precup, Sutton & Singh, 2000, ICML): `lambda_ * pi / mu`.

    Munos et al. write it without lambda_, which is the default 1.
    """
    _check("importance_sampling", log_pi_t, log_mu_t, lambda_)
    return lambda_ * jnp.exp(log_pi_t - log_mu_t)


def _check(caller: str, log_pi_t: Array, log_mu_t: Array, lambda_: Numeric) -> None:
    assert_like(
        f"traces.{caller}",
        scalars=["lambda_"],
        log_pi_t=log_pi_t,
        log_mu_t=log_mu_t,
        lambda_=lambda_,
    )

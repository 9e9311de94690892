"""The optimal advantage, learned from preferences (Knox et al., 2023, arXiv:2310.02456)."""

import jax
import jax.numpy as jnp

from rlax_pref import preferences, tabular
from rlax_pref.types import Array, Fit, Key, Numeric, Preferences


def fit_optimal_advantage(
    key: Key,
    pairs: Preferences,
    num_states: int,
    num_actions: int,
    *,
    learning_rate: Numeric = 2.0,
    num_steps: int = 1000,
) -> Fit[Array]:
    """The optimal advantage, learned from preferences (Knox et al., 2023, arXiv:2310.02456).

        score = sum_t live_t * A(s_t, a_t)

    The learner of a reward under partial return, with one weight for each action in each state:
    when people compare regrets, what it finds estimates A*, whatever it is called. There are two
    ways on to a policy: act greedily, `tabular.greedy(A)`, or take it for a reward,
    `tabular.optimal(mdp, A, discount).policy`. Only the second is harmed by a constant added to
    all of A, which choices between segments with equally many live steps leave undetermined.
    Segments that go on past a terminal state settle it, because there A is 0 by definition.

    Args:
      key: for the initial table, uniform in +-1/sqrt(S * A).
      pairs: N choices.
      num_states: S.
      num_actions: A.
      learning_rate: of Adam.
      num_steps: of Adam, each on all pairs.

    Returns:
      `Fit` whose `params` are the table `[S, A]`, in log-odds of choices; its entries in terminal
      states are never used and keep their initial values.
    """
    shape = num_states, num_actions
    scale = 1 / jnp.sqrt(num_states * num_actions)
    return preferences.fit(
        lambda table: preferences.partial_return(
            tabular.lookup(table, pairs.segments), pairs.segments.live
        ),
        jax.random.uniform(key, shape, minval=-scale, maxval=scale),
        pairs.p_first,
        pairs.weight,
        learning_rate=learning_rate,
        num_steps=num_steps,
    )

"""Segments of random behaviour in a finite process (Knox et al., 2022, arXiv:2206.02231)."""

import jax
import jax.numpy as jnp

from rlax_pref.tabular import TabularMDP
from rlax_pref.types import Array, Key, Segments


def sample_segments(key: Key, mdp: TabularMDP, shape: tuple[int, ...], length: int) -> Segments:
    """Random starts followed by random actions (Knox et al., 2022, arXiv:2206.02231).

    Args:
      key: for starts, actions and moves.
      mdp: the process; starts are drawn from `mdp.start`.
      shape: how many segments, such as `(n, 2)` for n pairs.
      length: L, actions in a segment.

    Returns:
      `Segments` with states `[*shape, L + 1]`. A segment may run past a terminal state; it stays
      there, and those steps are not live.
    """
    key_start, key_action, key_move = jax.random.split(key, 3)
    num_states, num_actions = mdp.transition.shape[:2]
    start = jax.random.choice(key_start, num_states, shape, p=mdp.start)
    action = jax.random.randint(key_action, (*shape, length), 0, num_actions)
    cumulative = jnp.cumsum(mdp.transition, axis=-1)

    def move(state: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        action_tm1, luck = inputs
        ladder = cumulative[state, action_tm1]  # [..., S]
        after = jnp.argmax(ladder > luck[..., None] * ladder[..., -1:], axis=-1)
        return after, after

    luck = jax.random.uniform(key_move, (length, *shape))
    _, after = jax.lax.scan(move, start, (jnp.moveaxis(action, -1, 0), luck))
    state = jnp.concatenate([start[..., None], jnp.moveaxis(after, 0, -1)], axis=-1)
    return Segments(state, action, ~mdp.terminal[state[..., :-1]])

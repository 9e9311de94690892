"""Finite decision processes, solved exactly: what is true, to compare estimates with.

All functions are pure, take one process, and may be jitted and vmapped over processes of one
padded shape. Terminal and padded states have value exactly 0. They are made for float32: values
are right to about 1e-6 of the largest, and what differs by less than that counts as a tie.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric, Segments


class TabularMDP(NamedTuple):
    """A finite Markov decision process without its reward, which every function takes apart.

    Terminal states loop onto themselves, earn nothing and have value 0. States that nobody can
    stand in (houses, padding) are terminal with `start` 0, so that processes of different sizes
    share one program.
    """

    transition: Array  # [S, A, S] probability of each next state
    features: Array  # [S, A, F] expected features of a step; a linear reward is `features @ w`
    terminal: Array  # [S] bool
    start: Array  # [S] probability that an episode begins here


class Optimum(NamedTuple):
    """What is optimal for a reward."""

    value: Array  # [S] V*, in units of reward
    q: Array  # [S, A] Q*, 0 in terminal states
    policy: Array  # [S, A] probabilities, split evenly over tied actions

    @property
    def advantage(self) -> Array:
        """`[S, A]` A* = Q* - V*: exactly 0 for every optimal action, negative for the others."""
        gap = self.q - self.q.max(-1, keepdims=True)
        return jnp.where(self.policy > 0, 0.0, gap)


# Policies -----------------------------------------------------------------------------------


def uniform_policy(mdp: TabularMDP) -> Array:
    """`[S, A]` the policy that takes every action equally often."""
    shape = mdp.transition.shape[:2]
    return jnp.full(shape, 1.0 / shape[1])


def greedy(q: Array, tolerance: Numeric = 0.0) -> Array:
    """The policy that takes the best actions, each of them equally often.

    Args:
      q: `[..., A]` what each action is worth.
      tolerance: actions within this of the best one, in units of `q`, count as tied with it.

    Returns:
      `[..., A]` probabilities.
    """
    best = q >= q.max(-1, keepdims=True) - tolerance
    return best / best.sum(-1, keepdims=True)


# Evaluation ---------------------------------------------------------------------------------


def evaluate(mdp: TabularMDP, reward: Array, policy: Array, discount: Numeric) -> Array:
    """The value of a policy, from the linear system it solves.

        V = sum_a policy (reward + discount * P V),   V = 0 in terminal states

    Args:
      mdp: the process.
      reward: `[S, A]` expected reward of each action.
      policy: `[S, A]` probabilities.
      discount: in [0, 1]. At 1 the policy must reach a terminal state from everywhere; where it
        does not, no finite value solves the equation and what comes back is not finite.

    Returns:
      `[S]` values, in units of reward. Differentiable in `reward` and `policy`.
    """
    return _accumulate(mdp, reward[..., None], policy, discount)[:, 0]


def successor_features(mdp: TabularMDP, policy: Array, discount: Numeric) -> tuple[Array, Array]:
    """Successor features (Barreto et al., 2017, arXiv:1606.05312).

    The expected discounted sums of features under a policy, so that the value of the policy for
    the reward `features @ w` is `psi @ w`, whatever `w`.

    Args:
      mdp: the process.
      policy: `[S, A]` probabilities.
      discount: as for `evaluate`.

    Returns:
      `[S, F]` sums from each state, and `[S, A, F]` sums from each action in each state. The step
      that enters a terminal state counts; nothing does after it.
    """
    psi = _accumulate(mdp, mdp.features, policy, discount)
    return psi, action_values(mdp, mdp.features, psi, discount)


def action_values(mdp: TabularMDP, reward: Array, value: Array, discount: Numeric) -> Array:
    """One step of lookahead: `reward + discount * P value`, and 0 in terminal states.

    Args:
      mdp: the process.
      reward: `[S, A]`, or `[S, A, F]` for several rewards at once.
      value: `[S]`, or `[S, F]`.
      discount: in [0, 1].

    Returns:
      An array like `reward`.
    """
    chex.assert_shape(
        reward,
        (*mdp.transition.shape[:2], *value.shape[1:]),
        custom_message="tabular: reward must be [S, A, ...] where value is [S, ...]",
    )
    ahead = jnp.tensordot(mdp.transition, _zero_at_end(mdp, value), 1, precision="highest")
    return _zero_at_end(mdp, reward + discount * ahead)


def mean_return(mdp: TabularMDP, value: Array) -> Array:
    """`[]` the value `[S]` averaged over where episodes begin."""
    return jnp.sum(mdp.start * value)


def scaled_return(mdp: TabularMDP, reward: Array, policy: Array, discount: Numeric) -> Array:
    """The mean return of a policy, on a scale where uniform is 0 and optimal is 1.

        (J(policy) - J(uniform)) / (J(optimal) - J(uniform))

    Args:
      mdp: the process.
      reward: `[S, A]` the true reward.
      policy: `[S, A]` probabilities.
      discount: in [0, 1).

    Returns:
      `[]` at most 1, unbounded below.

    Reference: Knox et al., 2022, arXiv:2206.02231, section 6.
    """
    best = mean_return(mdp, optimal(mdp, reward, discount).value)
    own, base = (
        mean_return(mdp, evaluate(mdp, reward, p, discount)) for p in (policy, uniform_policy(mdp))
    )
    return (own - base) / (best - base)


# Control ------------------------------------------------------------------------------------


def optimal(
    mdp: TabularMDP,
    reward: Array,
    discount: Numeric,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 100,
) -> Optimum:
    """Optimal control by policy iteration (Howard, 1960).

    An action is replaced only by one that is better by more than rounding error, so the policies
    improve strictly and the iteration ends; `max_iterations` bounds it all the same.

    Args:
      mdp: the process.
      reward: `[S, A]` expected reward of each action.
      discount: in [0, 1). For 1, see `value_iteration`.
      tolerance: relative to the largest value: what differs by less is a tie.
      max_iterations: linear systems to solve at most.

    Returns:
      `Optimum(value, q, policy)`.
    """
    num_actions = reward.shape[1]

    def look(action):
        value = evaluate(mdp, reward, jax.nn.one_hot(action, num_actions), discount)
        return value, action_values(mdp, reward, value, discount)

    def improve(carry):
        action, q, _, iteration = carry
        held = jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]
        better = q.max(-1) > held + tolerance * jnp.abs(q).max()
        action = jnp.where(better, q.argmax(-1), action)
        return action, look(action)[1], better.any(), iteration + 1

    uniform_value = evaluate(mdp, reward, uniform_policy(mdp), discount)
    action = action_values(mdp, reward, uniform_value, discount).argmax(-1)
    carry = action, look(action)[1], jnp.bool_(True), 1
    action, *_ = jax.lax.while_loop(
        lambda carry: carry[2] & (carry[3] < max_iterations), improve, carry
    )
    value, q = look(action)
    return Optimum(value, q, greedy(q, tolerance * jnp.abs(q).max()))


def value_iteration(
    mdp: TabularMDP, reward: Array, discount: Numeric, *, max_steps: int = 10_000
) -> Array:
    """Optimal values by value iteration (Bellman, 1957).

    Steps of lookahead from 0 until nothing changes. Unlike `optimal` it needs no matrix to be
    invertible, so it also serves undiscounted problems in which every loop costs something; with
    whole-numbered rewards the result is then exact.

    Args:
      mdp: the process.
      reward: `[S, A]` expected reward of each action.
      discount: in [0, 1].
      max_steps: steps at most: where loops earn something and `discount` is 1, values grow for
        ever and this is the horizon.

    Returns:
      `[S]` optimal values.
    """

    def step(carry):
        value, _, i = carry
        after = action_values(mdp, reward, value, discount).max(-1)
        return after, jnp.any(after != value), i + 1

    value = jnp.zeros(mdp.start.shape)
    return jax.lax.while_loop(
        lambda carry: carry[1] & (carry[2] < max_steps), step, (value, jnp.bool_(True), 0)
    )[0]


# Segments -----------------------------------------------------------------------------------


def lookup(table: Array, segments: Segments) -> Array:
    """`[..., L]` the entries of a table `[S, A, ...]` along the steps of segments."""
    return table[segments.state[..., :-1], segments.action]


def _accumulate(mdp: TabularMDP, cumulant: Array, policy: Array, discount: Numeric) -> Array:
    """`[S, F]` expected discounted sums of `cumulant` `[S, A, F]` until a terminal state."""
    num_states, num_actions = mdp.transition.shape[:2]
    chex.assert_shape(
        [cumulant[..., 0], policy],
        (num_states, num_actions),
        custom_message="tabular: reward and policy must be [S, A]",
    )
    step = _zero_at_end(mdp, jnp.einsum("sa,saf->sf", policy, cumulant, precision="highest"))
    move = jnp.einsum("sa,sat->st", policy, mdp.transition, precision="highest")
    move = jnp.where(mdp.terminal[:, None] | mdp.terminal[None], 0.0, move)
    return _zero_at_end(mdp, _solve(jnp.eye(num_states) - discount * move, step))


def _solve(a: Array, b: Array) -> Array:
    """`[S, F]` the solution of `a x = b`, with `a` `[S, S]` and `b` `[S, F]`.

    Under `vmap`, a CPU solves one system after the other. Batched, they would be shared out among
    its threads, and two such batches at once, each waiting for a thread that the other holds, can
    wait for ever (seen with jaxlib 0.10.2 on two cores).
    """

    def solve(a: Array, b: Array) -> Array:
        return jax.lax.platform_dependent(a, b, cpu=_one_by_one, default=jnp.linalg.solve)

    return jax.lax.custom_linear_solve(
        lambda x: jnp.matmul(a, x, precision="highest"),
        b,
        lambda _, b: solve(a, b),
        lambda _, b: solve(a.T, b),
    )


_one_by_one = jax.custom_batching.sequential_vmap(jnp.linalg.solve)


def _zero_at_end(mdp: TabularMDP, x: Array) -> Array:
    terminal = mdp.terminal.reshape((-1,) + (1,) * (x.ndim - 1))
    return jnp.where(terminal, 0.0, x)

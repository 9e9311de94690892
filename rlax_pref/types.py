"""The few types that every method, environment and agent share."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax

Array = jax.Array
Key = jax.Array  # a typed key, from `jax.random.key`
Numeric = jax.Array | float
PyTree = Any
Metrics = dict[str, jax.Array]


class DataError(ValueError):
    """Data from outside is not what it should be; the message names file, field and fix."""


# Environments -------------------------------------------------------------------------------


class Discrete(NamedTuple):
    """Actions `0 .. num - 1`."""

    num: int


class Box(NamedTuple):
    """Actions of `shape`, each entry between `low` and `high`, in the environment's units."""

    low: float
    high: float
    shape: tuple[int, ...]


class TimeStep(NamedTuple):
    """What one step of an environment brings.

    An episode ends in one of two ways that are never merged: it *terminates* (`discount` 0, the
    value of what follows is 0) or it is *truncated* (a time limit cut an episode that would have
    gone on, so the value of `last_obs` still counts). Never both at once.
    """

    obs: Array  # [...] what to act on next: after a reset, where there was one
    reward: Array  # [] float32
    discount: Array  # [] float32, 0 where the episode terminated, else 1
    truncated: Array  # [] bool, a time limit ended the episode here
    last_obs: Array  # [...] the observation reached by the action, before any reset

    @property
    def terminated(self) -> Array:
        """Whether the episode came to its own end here."""
        return self.discount == 0

    @property
    def done(self) -> Array:
        """Whether the episode ended here, either way."""
        return self.terminated | self.truncated


State = TypeVar("State")


class Env(Protocol[State]):
    """An environment: two pure functions and the kind of action they take.

    A raw environment does not reset itself: it returns `obs` and `last_obs` alike. `AutoReset`
    adds the resetting, for all of them.
    """

    @property
    def action_space(self) -> Discrete | Box:
        """Which actions `step` takes."""

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins an episode: `key -> (state, obs)`."""

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Moves on by one action."""


Model = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]
"""What comes next, as far as is known: `(obs [D], action, key) -> (obs [D], reward [], terminated
[] bool)`."""


# Experience ---------------------------------------------------------------------------------


class Transition(NamedTuple):
    """One step, or several taken as one, to learn from in any order: `[...]` of them.

    What an episode's end means is said twice and never mixed: `discount_t` is 0 where it
    terminated; `truncated_t` only says that the next row belongs to another episode, and the
    value of `obs_t` counts.
    """

    obs_tm1: Any  # [..., *obs]
    a_tm1: Array  # [..., *action]
    r_t: Array  # [...] float32
    discount_t: Array  # [...] float32, gamma while the episode goes on, 0 where it terminated
    truncated_t: Array  # [...] bool, recording stopped here though the episode had not ended
    valid_t: Array  # [...] bool, the row may be learned from: no padding, and `obs_t` was reached
    obs_t: Any  # [..., *obs] as reached, before any reset


# Agents -------------------------------------------------------------------------------------


class TrainState(NamedTuple):
    """All that a training run carries: saved and restored, it goes on as if never stopped."""

    learner: Any  # equal on all devices: parameters, optimiser, statistics
    actor: Any  # every leaf leads with [num_envs]: environments, observations, replay
    key: Key  # [] the run's random key
    step: Array  # [] int32, calls of `Agent.step` so far


class Policy(NamedTuple):
    """A way to act. `memory` is `()` where the policy has none.

    `init(key) -> memory` begins an episode; `act(memory, obs, key) -> (memory, action)` takes one
    observation, unbatched: `jax.vmap` it for more. `observe(memory, timestep) -> memory` takes in
    what the action brought, for policies that go by their rewards.
    """

    init: Callable[[Key], Any]
    act: Callable[[Any, Array, Key], tuple[Any, Array]]
    observe: Callable[[Any, TimeStep], Any] = lambda memory, timestep: memory


class Agent(NamedTuple):
    """A training method: pure functions of one pytree, made by `<agent>.make(env, config)`."""

    init: Callable[[Key], TrainState]
    step: Callable[[TrainState], tuple[TrainState, Metrics]]
    policy: Callable[[Any], Policy]  # (learner) -> how it acts when it is not exploring


# Preferences --------------------------------------------------------------------------------


class Segments(NamedTuple):
    """Stretches of behaviour: L actions and the L + 1 states they connect.

    `live[t]` says that action t starts in a state that is not terminal. What happens in a
    terminal (absorbing) state earns nothing, by definition, so sums over a segment run over its
    live steps only.
    """

    state: Array  # [..., L + 1] int states, or [..., L + 1, D] features
    action: Array  # [..., L] int actions, or [..., L, A]
    live: Array  # [..., L] bool


class Preferences(NamedTuple):
    """Choices between two segments.

    There is one convention for labels: `p_first` is the probability that the *first* segment is
    preferred, so 1 and 0 are choices and 0.5 is a tie. Other conventions are converted where
    data enter.
    """

    segments: Segments  # every leaf leads with [N, 2]: first and second segment of each pair
    p_first: Array  # [N] float32 in [0, 1]
    weight: Array  # [N] float32 >= 0


T = TypeVar("T")


class Fit(NamedTuple, Generic[T]):
    """What a learner returns: the estimate and how the loss fell."""

    params: T
    loss: Array  # [] mean loss of `params`
    losses: Array  # [steps] loss before each step

"""Pendulum swing-up, with the dynamics and constants of Gym's Pendulum-v1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref.types import Array, Box, Key, Numeric, TimeStep


class State(NamedTuple):
    """The pendulum's angle and speed."""

    theta: Array  # [] rad, 0 is upright; not wrapped
    theta_dot: Array  # [] rad/s
    time: Array  # [] int32, steps since the reset


@struct.dataclass
class Pendulum:
    """A rod on a motor too weak to lift it at once: swing it up, then hold it there.

    With the torque tau clipped to what the motor gives:

        theta_acc = 3 g / (2 l) sin theta + 3 / (m l^2) tau
        reward    = -(theta^2 + theta_dot^2 / 10 + tau^2 / 1000)

    where the reward is that of the state acted in, theta counted from -pi to pi. The speed is
    integrated first and clipped, then moves the angle. Episodes never terminate; the time limit
    truncates them. The observation is `[cos theta, sin theta, theta_dot]`.
    """

    gravity: Numeric = 10.0  # m/s^2
    mass: Numeric = 1.0  # kg
    length: Numeric = 1.0  # m
    dt: Numeric = 0.05  # s
    max_speed: Numeric = 8.0  # rad/s
    time_limit: Numeric = 200  # steps
    max_torque: float = struct.field(pytree_node=False, default=2.0)  # N m; bounds the actions

    @property
    def action_space(self) -> Box:
        """One torque in N m; beyond the bounds it is clipped."""
        return Box(-self.max_torque, self.max_torque, (1,))

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins at any angle, at up to 1 rad/s."""
        theta, theta_dot = jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)
        state = State(jnp.pi * theta, theta_dot, jnp.int32(0))
        return state, _observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Turns for `dt` seconds. Nothing here is random: `key` is not used."""
        torque = jnp.clip(action[0], -self.max_torque, self.max_torque)
        angle = (state.theta + jnp.pi) % (2 * jnp.pi) - jnp.pi
        cost = angle**2 + 0.1 * state.theta_dot**2 + 0.001 * torque**2
        theta_acc = (
            1.5 * self.gravity / self.length * jnp.sin(state.theta)
            + 3.0 / (self.mass * self.length**2) * torque
        )
        theta_dot = state.theta_dot + self.dt * theta_acc
        theta_dot = jnp.clip(theta_dot, -self.max_speed, self.max_speed)
        state = State(state.theta + self.dt * theta_dot, theta_dot, state.time + 1)
        obs = _observe(state)
        return state, TimeStep(
            obs=obs,
            reward=-cost,
            discount=jnp.float32(1.0),
            truncated=state.time >= self.time_limit,
            last_obs=obs,
        )


def _observe(state: State) -> Array:
    return jnp.stack([jnp.cos(state.theta), jnp.sin(state.theta), state.theta_dot])

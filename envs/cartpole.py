"""Cart-pole balancing (Barto, Sutton & Anderson, 1983), with the constants of Gym's CartPole-v1."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref.types import Array, Discrete, Key, Numeric, TimeStep


class State(NamedTuple):
    """Where the cart and the pole are, and how they move: `[x, x_dot, theta, theta_dot]`.

    x is 0 in the middle of the track; theta is 0 upright, and positive where the pole leans right.
    """

    motion: Array  # [4] m, m/s, rad, rad/s
    time: Array  # [] int32, steps since the reset


@struct.dataclass
class CartPole:
    """A pole hinged on a cart that is pushed left (0) or right (1) to keep the pole up.

    With F the push, l half the pole's length, m its mass and M the mass of both:

        u         = (F + m l theta_dot^2 sin theta) / M
        theta_acc = (g sin theta - u cos theta) / (l (4/3 - m cos^2 theta / M))
        x_acc     = u - m l theta_acc cos theta / M

    integrated by explicit Euler steps. Every step earns 1. The episode terminates when the cart
    leaves the track or the pole leans too far, and is truncated at the time limit. The
    observation is `[x, x_dot, theta, theta_dot]`.

    All constants are leaves: `jax.vmap(lambda g: CartPole(gravity=g))(gravities)` is a batch of
    worlds, to be used as `jax.vmap(CartPole.step)(worlds, keys, states, actions)`.
    """

    gravity: Numeric = 9.8  # m/s^2
    mass_cart: Numeric = 1.0  # kg
    mass_pole: Numeric = 0.1  # kg
    half_length: Numeric = 0.5  # m, from the hinge to the pole's centre
    force: Numeric = 10.0  # N
    dt: Numeric = 0.02  # s
    max_x: Numeric = 2.4  # m
    max_theta: Numeric = math.radians(12)  # rad
    max_start: Numeric = 0.05  # each of the four begins uniformly within +- this, SI units
    time_limit: Numeric = 500  # steps

    @property
    def action_space(self) -> Discrete:
        """0 pushes left, 1 pushes right."""
        return Discrete(2)

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins near the middle, near upright and nearly at rest."""
        motion = self.max_start * jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0)
        return State(motion, jnp.int32(0)), motion

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Pushes for `dt` seconds. Nothing here is random: `key` is not used."""
        motion = state.motion + self.dt * self._derivative(state.motion, action)
        state = State(motion, state.time + 1)
        fallen = (jnp.abs(motion[0]) > self.max_x) | (jnp.abs(motion[2]) > self.max_theta)
        return state, TimeStep(
            obs=motion,
            reward=jnp.float32(1.0),
            discount=1.0 - fallen.astype(jnp.float32),
            truncated=(state.time >= self.time_limit) & ~fallen,
            last_obs=motion,
        )

    def _derivative(self, motion: Array, action: Array) -> Array:
        _, x_dot, theta, theta_dot = motion
        sin, cos = jnp.sin(theta), jnp.cos(theta)
        push = jnp.where(action == 1, self.force, -self.force)
        mass = self.mass_cart + self.mass_pole
        moment = self.mass_pole * self.half_length
        u = (push + moment * theta_dot**2 * sin) / mass
        inertia = self.half_length * (4 / 3 - self.mass_pole * cos**2 / mass)
        theta_acc = (self.gravity * sin - u * cos) / inertia
        return jnp.stack([x_dot, u - moment * theta_acc * cos / mass, theta_dot, theta_acc])

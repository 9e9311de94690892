"""Points to generate: what is demonstrated lies on two sides, what pays on one."""

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref import metrics
from rlax_pref.types import Array, Box, Key, Numeric, TimeStep


@struct.dataclass
class GaussianMixture:
    """A direction is shown, one point is made, and the episode is over.

    Demonstrations have two modes, `+-reach` along the direction u, each of them Gaussian with
    deviation `spread`. The point x that is made pays how near it is to a target a little beyond
    one of them:

        reward    = -|x - target * u|
        score_set = -Frechet distance of a set of points from N(target * u, spread^2)

    A single point does best at the target; a set of them only if it is spread like the exemplars.
    The observation is u, of length 1; any direction is alike likely.
    """

    reach: Numeric = 0.5
    target: Numeric = 0.6
    spread: Numeric = 0.2
    num_dimensions: int = struct.field(pytree_node=False, default=2)

    @property
    def action_space(self) -> Box:
        """A point; beyond the bounds it is clipped."""
        return Box(-1.0, 1.0, (self.num_dimensions,))

    def reset(self, key: Key) -> tuple[Array, Array]:
        """Shows a direction, which is all there is to the state."""
        x = jax.random.normal(key, (self.num_dimensions,))
        obs = x / jnp.maximum(jnp.linalg.norm(x), 1e-6)
        return obs, obs

    def step(self, key: Key, state: Array, action: Array) -> tuple[Array, TimeStep]:
        """Pays for a point. Nothing here is random: `key` is not used."""
        action = jnp.clip(action, -1.0, 1.0)
        return state, TimeStep(
            obs=state,
            reward=-jnp.linalg.norm(action - self.target * state),
            discount=jnp.float32(0.0),
            truncated=jnp.zeros((), bool),
            last_obs=state,
        )

    def demonstrate(self, key: Key, obs: Array) -> Array:
        """Draws a point `[D]` of either mode."""
        key_side, key_noise = jax.random.split(key)
        centre = self.reach * jax.random.rademacher(key_side, dtype=jnp.float32) * obs
        point = centre + self.spread * jax.random.normal(key_noise, obs.shape)
        return jnp.clip(point, -1.0, 1.0)

    def score_set(self, obs: Array, points: Array) -> Array:
        """What `[N, D]` points are worth together, `[]`, at most 0."""
        cov = jnp.square(self.spread) * jnp.eye(self.num_dimensions)
        return -metrics.frechet_distance(*metrics.moments(points), self.target * obs, cov)

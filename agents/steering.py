"""Value-guided steering, V-GPS (Nakamoto et al., 2024, arXiv:2410.13816).

A policy that stays as it is proposes several actions, and a critic has a say in which is done.
Any critic will do, such as those of IQL, SAC or calibrated Q-learning.
"""

from collections.abc import Callable
from typing import Any

import jax

from rlax_pref import networks, policies
from rlax_pref.types import Array, Env, Key, Numeric, Policy, TimeStep

from . import learning
from .learning import Learner


def steer(
    policy: Policy,
    critic: Callable[[Array, Array], Array],
    num: int,
    temperature: Numeric = 1.0,
) -> Policy:
    """A policy whose actions a critic chooses among, V-GPS (Nakamoto et al., 2024).

        action ~ softmax_k(critic(obs, a_k) / temperature)     with a_1 .. a_num ~ policy

    Args:
      policy: proposes; must be stochastic, or there is nothing to choose.
      critic: `(obs, action) -> []`, in the environment's units.
      num: K, proposals. With one, the policy is as it was.
      temperature: > 0, in units of return; towards 0 the best is taken.

    Returns:
      The policy, with a memory like that of the one that proposes.

    Raises:
      ValueError: `num` is not positive.
    """
    if num < 1:
        raise ValueError(f"steer: num={num} must be at least 1")

    def act(memory: Any, obs: Array, key: Key) -> tuple[Any, Array]:
        key_choose, *keys = jax.random.split(key, num + 1)
        after, action = jax.vmap(policy.act, in_axes=(None, None, 0))(
            memory, obs, jax.numpy.stack(keys)
        )
        q = jax.vmap(critic, in_axes=(None, 0))(obs, action)
        chosen = jax.random.choice(key_choose, num, p=policies.rerank(q, temperature))
        return jax.tree.map(lambda x: x[chosen], (after, action))

    def observe(memory: Any, timestep: TimeStep) -> Any:
        return policy.observe(memory, timestep)

    return Policy(policy.init, act, observe)


def critic_of(env: Env, config: Any, learner: Learner) -> Callable[[Array, Array], Array]:
    """What an agent learned of actions: the least of its critics.

    Args:
      env: where it acts.
      config: the agent's, of IQL, XQL, AWAC, SAC, TD3, CQL or RAVL.
      learner: what it learned.

    Returns:
      `critic(obs [D], action) -> []`, in the environment's units.
    """
    space = env.action_space
    network = learning.critics(space, config, config.num_critics)

    def critic(obs: Array, action: Array) -> Array:
        seen = learning.see(config, learner, obs)
        action = networks.from_env(space, action)
        return network.apply(learner.params["critic"], (seen, action)).min(0)

    return critic

"""MR.Q (Fujimoto et al., 2025, arXiv:2501.16142): one set of settings for any kind of action.

Features of states and actions are learned from a model alone, which foresees features, rewards
and ends several steps ahead. TD3 does the rest on top of them, with rewards in units of their mean
size. Discrete actions are one-hot; their policy is a Gumbel-softmax.

One agent step is a round: act, copy all networks into their slow copies and measure the rewards,
teach the encoder, then critics and policy. The paper acts once before each update of critics and
policy, 250 of each a round; here a round first takes all its 256 steps, so the policy that acts is
up to a round old, and by default makes half as many updates. Besides, networks are smaller, all
gradients are shortened rather than the critics' alone, weights do not decay (at 1e-4 it would take
a million steps to notice), normalisation has weights but in the features of states, evaluation
takes the likeliest discrete action, and what an episode's end leaves of several steps is learned
from as it should be.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import buffers, histograms, networks, statistics, values
from rlax_pref.types import (
    Agent,
    Array,
    Discrete,
    Env,
    Key,
    Metrics,
    Policy,
    PyTree,
    Transition,
)

from . import learning, off_policy
from .configs.augmented import MRQ as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()
COPIED = ("encoder", "critic", "actor", "reward_scale")


class Encoder(NamedTuple):
    """Features, and what a linear model makes of them.

    `init(key, obs [..., D], action [..., A]) -> params`
    `state(params, obs [..., D]) -> [..., Z]`
    `pair(params, z [..., Z], action [..., A]) -> [..., Y]`
    `foresee(params, z [..., Z], action [..., A]) -> values.Foreseen`
    """

    init: Callable[[Key, Array, Array], PyTree]
    state: Callable[[PyTree, Array], Array]
    pair: Callable[[PyTree, Array, Array], Array]
    foresee: Callable[[PyTree, Array, Array], values.Foreseen]


def encoder(config: Config) -> Encoder:
    """The encoder that a config asks for."""
    tower = lambda num: networks.mlp(config.hidden, num, layer_norm=True, **learning.kind(config))
    nets = {
        "state": tower(config.state_width),
        "action": networks.mlp((), config.action_width, dtype=config.dtype),
        "pair": tower(config.pair_width),
        "model": networks.mlp((), 1 + config.state_width + config.num_atoms, dtype=config.dtype),
    }

    def state(params: PyTree, obs: Array) -> Array:
        return jax.nn.elu(jax.nn.standardize(nets["state"].apply(params["state"], obs)))

    def join(params: PyTree, z: Array, action: Array) -> Array:
        return jnp.concatenate([z, jax.nn.elu(nets["action"].apply(params["action"], action))], -1)

    def pair(params: PyTree, z: Array, action: Array) -> Array:
        return nets["pair"].apply(params["pair"], join(params, z, action))

    def foresee(params: PyTree, z: Array, action: Array) -> values.Foreseen:
        output = nets["model"].apply(params["model"], pair(params, z, action))
        terminated, z_t, logits = jnp.split(output, (1, 1 + config.state_width), axis=-1)
        return values.Foreseen(z_t, logits, terminated[..., 0])

    def init(key: Key, obs: Array, action: Array) -> PyTree:
        keys = dict(zip(nets, jax.random.split(key, len(nets)), strict=True))
        params = {
            name: nets[name].init(keys[name], x) for name, x in (("state", obs), ("action", action))
        }
        joined = join(params, state(params, obs), action)
        params["pair"] = nets["pair"].init(keys["pair"], joined)
        features = nets["pair"].apply(params["pair"], joined)
        return params | {"model": nets["model"].init(keys["model"], features)}

    return Encoder(init, state, pair, foresee)


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: see `configs.MRQ`.
      data: steps to begin with, or all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: settings do not fit together.
    """
    if data is None and config.warm_up < config.horizon * config.num_envs:
        raise ValueError(
            f"warm_up={config.warm_up} must be at least horizon * num_envs="
            f"{config.horizon * config.num_envs}"
        )
    space = env.action_space
    discrete = isinstance(space, Discrete)
    num_actions = space.num if isinstance(space, Discrete) else space.shape[0]
    half = 0.5 if discrete else 1.0  # of all noise: one-hot actions are within 0 and 1
    atoms = histograms.symexp_atoms(num=config.num_atoms)
    features = encoder(config)
    deep = (*config.hidden, config.hidden[-1])
    critic = networks.ensemble(
        networks.mlp(deep, 1, layer_norm=True, **learning.kind(config)),
        config.num_critics,
    )
    actor = networks.mlp(
        config.hidden, num_actions, layer_norm=True, activation="relu", dtype=config.dtype
    )

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_encoder, key_critic, key_actor = jax.random.split(key, 3)
        params, action = features.init(key_encoder, obs, vector(action)), vector(action)
        z = features.state(params, obs)
        return {
            "encoder": params,
            "critic": critic.init(key_critic, features.pair(params, z, action)),
            "actor": actor.init(key_actor, z),
            "reward_scale": jnp.zeros(()),
        }

    # Actions as vectors ---------------------------------------------------------------------

    def vector(action: Array) -> Array:
        return jax.nn.one_hot(action, num_actions) if discrete else action

    def soft(output: Array, key: Key) -> Array:
        """The policy's output as an action with a gradient."""
        if not discrete:
            return jnp.tanh(output)
        noise = jax.random.gumbel(key, output.shape)
        return jax.nn.softmax((output + noise) / config.gumbel_temperature)

    def hard(action: Array) -> Array:
        """The nearest action there is."""
        return vector(action.argmax(-1)) if discrete else jnp.clip(action, -1.0, 1.0)

    # Learning -------------------------------------------------------------------------------

    def begin(
        learner: Learner, replay: buffers.Replay, draw: Callable[[Key], Array], key: Key
    ) -> tuple[Learner, Metrics]:
        for name in COPIED:
            learner = learning.follow(learner, name, 1.0)
        stored = replay.data
        size = jnp.abs(config.reward_scale * stored.r_t + config.reward_shift)
        scale = statistics.masked_mean(size, stored.valid_t)
        learner = learner._replace(params={**learner.params, "reward_scale": scale})
        ends = jnp.any(stored.valid_t & (stored.discount_t == 0))

        def teach(learner: Learner, key: Key) -> tuple[Learner, Array]:
            window = learning.windows(config, learner, replay, draw(key), config.horizon)
            window = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), window)
            valid = window.valid_t.all(-1)
            steps = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), window)
            z_target_t = features.state(learner.target["encoder"], steps.obs_t)

            def loss(params: PyTree) -> tuple[Array, Array]:
                foreseen = values.mr_q_unroll(
                    lambda z, a: features.foresee(params, z, a),
                    features.state(params, steps.obs_tm1[0]),
                    vector(steps.a_tm1),
                )
                each = values.mr_q_encoder(
                    foreseen,
                    z_target_t,
                    steps.r_t,
                    steps.discount_t,
                    steps.truncated_t,
                    atoms,
                    dynamics_weight=config.dynamics_weight,
                    reward_weight=config.reward_weight,
                    terminal_weight=jnp.where(ends, config.terminal_weight, 0.0),
                )
                total = statistics.masked_mean(each, valid)
                return total, total

            rate = config.encoder_learning_rate
            return learning.descend(config, learner, "encoder", loss, rate)

        keys = jax.random.split(key, config.num_encoder_updates)
        learner, losses = jax.lax.scan(teach, learner, keys)
        report = {"encoder_loss": losses.mean()} if config.num_encoder_updates else {}
        return learner, report | {"reward_scale": scale}

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        key_after, key_noise, key_now = jax.random.split(key, 3)
        params, target = learner.params, learner.target
        z_t = features.state(target["encoder"], data.obs_t)
        a_t = soft(actor.apply(target["actor"], z_t), key_after)
        noise = half * config.smoothing * jax.random.normal(key_noise, a_t.shape)
        clip = half * config.smoothing_clip
        a_t = hard(a_t + jnp.clip(noise, -clip, clip))
        q_t = critic.apply(target["critic"], features.pair(target["encoder"], z_t, a_t))[..., 0]
        wanted = values.mr_q_target(
            data.r_t, data.discount_t, q_t, params["reward_scale"], target["reward_scale"]
        )
        z_tm1 = features.state(params["encoder"], data.obs_tm1)
        zsa_tm1 = features.pair(params["encoder"], z_tm1, vector(data.a_tm1))

        def critic_loss(params: PyTree) -> tuple[Array, Array]:
            error = critic.apply(params, zsa_tm1)[..., 0] - wanted
            loss = optax.losses.huber_loss(error).mean(0)
            return learning.average(loss, data, weight), error

        learner, error = learning.descend(config, learner, "critic", critic_loss)

        def actor_loss(params: PyTree) -> tuple[Array, None]:
            output = actor.apply(params, z_tm1)
            zsa = features.pair(learner.params["encoder"], z_tm1, soft(output, key_now))
            q = critic.apply(learner.params["critic"], zsa)[..., 0].mean(0)
            cost = config.saturation_cost * jnp.square(output).mean(-1)
            return learning.average(cost - q, data, weight), None

        learner, _ = learning.descend(config, learner, "actor", actor_loss)
        report = {
            "critic_loss": learning.average(jnp.square(error).mean(0), data, weight),
            "q": learning.average(wanted, data, 1.0) * params["reward_scale"],
        }
        return learner, jnp.abs(error).max(0), report

    # Acting ---------------------------------------------------------------------------------

    def act(learner: Learner, choose: Callable[[Array, Key], Array]) -> Policy:
        def output(obs: Array, key: Key) -> Array:
            z = features.state(learner.params["encoder"], obs)
            action = choose(actor.apply(learner.params["actor"], z), key)
            return action.argmax(-1).astype(jnp.int32) if discrete else action

        return learning.act_by(config, space, learner, output)

    def explore(learner: Learner, step: Array) -> Policy:
        def choose(output: Array, key: Key) -> Array:
            key_soft, key_noise = jax.random.split(key)
            noise = jax.random.normal(key_noise, output.shape)
            return soft(output, key_soft) + half * config.exploration * noise

        return act(learner, choose)

    def policy(learner: Learner) -> Policy:
        return act(learner, lambda output, key: output if discrete else jnp.tanh(output))

    method = off_policy.Method(
        init,
        update,
        explore,
        policy,
        targets=COPIED,
        length=max(config.horizon, config.n_step),
        begin=begin,
    )
    return off_policy.make(env, config, method, data)

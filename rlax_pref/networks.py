"""Networks as pairs of pure functions. Only this file names the network and law libraries."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from rlax_pref import vocabulary
from rlax_pref.types import Array, Box, Discrete, Key, PyTree

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": nn.elu,
    "gelu": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
}


class Network(NamedTuple):
    """A function with parameters: `init(key, x) -> params` and `apply(params, x) -> output`."""

    init: Callable[[Key, Any], PyTree]
    apply: Callable[[PyTree, Any], Any]


def _init(scale: float) -> jax.nn.initializers.Initializer:
    """Gaussian weights of variance `scale^2 / inputs`.

    Orthogonal weights would do as well, but they take a QR decomposition a layer, and several of
    those at once, batched over seeds, can wait for each other for ever on a CPU with few cores
    (seen with jaxlib 0.10.2).
    """
    return nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


class _Tower(nn.Module):
    """Dense layers; the last has no activation and a scale of its own."""

    sizes: Sequence[int]
    activation: Callable[[Array], Array]
    last_scale: float
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.sizes[:-1]:
            x = nn.Dense(size, kernel_init=_init(2**0.5))(x)
            x = self.activation(nn.LayerNorm()(x) if self.layer_norm else x)
        return nn.Dense(self.sizes[-1], kernel_init=_init(self.last_scale))(x)


def mlp(
    hidden: Sequence[int],
    num_outputs: int,
    *,
    activation: str = "tanh",
    last_scale: float = 1.0,
    layer_norm: bool = False,
) -> Network:
    """A multilayer perceptron `[..., D] -> [..., num_outputs]`.

    Args:
      hidden: widths of the hidden layers.
      num_outputs: width of the output.
      activation: one of `ACTIVATIONS`.
      last_scale: gain of the last layer's weights; 0.01 makes a first policy that barely
        depends on what it sees.
      layer_norm: whether hidden layers are normalised before their activation.
    """
    tower = _Tower((*hidden, num_outputs), ACTIVATIONS[activation], last_scale, layer_norm)
    return Network(lambda key, x: tower.init(key, x)["params"], _apply(tower))


def _apply(module: nn.Module) -> Callable[[PyTree, Array], Any]:
    return lambda params, x: module.apply({"params": params}, x)


def policy(
    action_space: Discrete | Box,
    hidden: Sequence[int],
    *,
    activation: str = "tanh",
    bounded: bool = False,
) -> Network:
    """A policy network: `apply(params, obs [..., D])` is a distribution over actions.

    Discrete actions are categorical. Continuous ones are Gaussian with a learned standard
    deviation that does not depend on the observation, in units in which the action space is
    `[-1, 1]`; `to_env` turns them into the environment's.

    Args:
      action_space: what the environment takes.
      hidden: widths of the hidden layers.
      activation: one of `ACTIVATIONS`.
      bounded: keeps the mean of continuous actions within bounds by a tanh, and the logarithm of
        their deviation within [-5, 2]. The density is that of a Gaussian all the same, so that it
        is finite where actions are at the bounds.

    Returns:
      A `Network` whose output has `sample(seed=)`, `log_prob`, `entropy` and `mode`.
    """
    if isinstance(action_space, Discrete):
        logits = mlp(hidden, action_space.num, activation=activation, last_scale=0.01)
        return Network(
            logits.init, lambda params, obs: distrax.Categorical(logits.apply(params, obs))
        )
    if len(action_space.shape) != 1:
        raise ValueError(f"Box actions must have shape [A], got {action_space.shape}")
    (num_actions,) = action_space.shape
    mean = mlp(hidden, num_actions, activation=activation, last_scale=0.01)

    def init(key: Key, obs: Array) -> PyTree:
        return {"mean": mean.init(key, obs), "log_std": jnp.zeros(num_actions)}

    def apply(params: PyTree, obs: Array) -> distrax.Distribution:
        loc, log_std = mean.apply(params["mean"], obs), params["log_std"]
        if bounded:
            loc, log_std = jnp.tanh(loc), jnp.clip(log_std, -5.0, 2.0)
        return distrax.MultivariateNormalDiag(loc, jnp.broadcast_to(jnp.exp(log_std), loc.shape))

    return Network(init, apply)


def to_env(action_space: Discrete | Box, action: Array) -> Array:
    """Turns a policy's action into the environment's units.

    Args:
      action_space: what the environment takes.
      action: `[...]` an index, or `[..., A]` numbers of which `[-1, 1]` is within bounds.

    Returns:
      The same index, or the numbers clipped to `[-1, 1]` and mapped onto `[low, high]`.
    """
    if isinstance(action_space, Discrete):
        return action
    half = (action_space.high - action_space.low) / 2
    return action_space.low + half * (jnp.clip(action, -1.0, 1.0) + 1.0)


def from_env(action_space: Discrete | Box, action: Array) -> Array:
    """The inverse of `to_env`, for actions within bounds."""
    if isinstance(action_space, Discrete):
        return action
    half = (action_space.high - action_space.low) / 2
    return (action - action_space.low) / half - 1.0


def value(hidden: Sequence[int], *, activation: str = "tanh", layer_norm: bool = False) -> Network:
    """A value network `[..., D] -> [...]`, in units of reward."""
    tower = mlp(hidden, 1, activation=activation, layer_norm=layer_norm)
    return Network(tower.init, lambda params, obs: jnp.squeeze(tower.apply(params, obs), -1))


def actor_critic(
    action_space: Discrete | Box, hidden: Sequence[int], *, activation: str = "tanh"
) -> Network:
    """A policy and a value network side by side: `apply(params, obs)` is `(distribution, v)`."""
    actor = policy(action_space, hidden, activation=activation)
    critic = value(hidden, activation=activation)

    def init(key: Key, obs: Array) -> PyTree:
        key_actor, key_critic = jax.random.split(key)
        return {"actor": actor.init(key_actor, obs), "critic": critic.init(key_critic, obs)}

    return Network(
        init,
        lambda params, obs: (
            actor.apply(params["actor"], obs),
            critic.apply(params["critic"], obs),
        ),
    )


# Networks of tokens -------------------------------------------------------------------------


class TokenNetwork(NamedTuple):
    """A function of a prompt and of the response so far, in one pass or token by token.

    Output t sees the prompt and `response[:t]`, so it is the law of token t, or the value before
    it. `start` and `step` give the same outputs one at a time, at a small cost each. All may have
    any leading axes, which go through the response together; `jax.vmap` what does not.

      `init(key) -> params`
      `apply(params, prompt [..., Lp], response [..., L]) -> [..., L, num_outputs]`
      `start(params, prompt [..., Lp]) -> (memory, output 0 [..., num_outputs])`
      `step(params, memory, token t [...]) -> (memory, output t + 1 [..., num_outputs])`

    To go on with a response of which `num_kept` tokens are there already:
    `start(params, prompt, response [..., L], num_kept []) -> (memory, output num_kept)`.

    Where the outputs come from a last layer, `features(params, prompt, response)` are its
    `[..., L, D]` inputs and `head(params)` the layer, so that outputs of a large vocabulary need
    never all be there.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[[PyTree, Array, Array], Array]
    start: Callable[..., tuple[PyTree, Array]]
    step: Callable[[PyTree, PyTree, Array], tuple[PyTree, Array]]
    features: Callable[[PyTree, Array, Array], Array] | None = None
    head: Callable[[PyTree], vocabulary.Head] | None = None


class _Place(NamedTuple):
    """Where a table is read."""

    prompt: Array  # [...] int32, 0 .. num_prompts - 1
    position: Array  # [] int32, tokens so far
    history: Array  # [...] int32, the last tokens as one number


def token_table(
    num_prompts: int, num_tokens: int, max_length: int, num_outputs: int, *, order: int = 0
) -> TokenNetwork:
    """A table of outputs by prompt, position and the last `order` tokens; all 0 at first.

    Args:
      num_prompts: how many prompts there are. A prompt is known by its first symbol, which is
        `num_tokens` for the first prompt and one more for each that follows.
      num_tokens: how many different tokens a response can have.
      max_length: tokens of the longest response.
      num_outputs: numbers at each place: `num_tokens` logits, or 1 value.
      order: how many of the last tokens tell places apart.
    """
    num_histories = num_tokens**order

    def read(params: PyTree, place: _Place) -> Array:
        return params["table"][place.prompt, place.position, place.history]

    def remember(history: Array, token: Array) -> Array:
        return (history * num_tokens + token) % num_histories

    def init(key: Key) -> PyTree:
        del key  # nothing in a new table is random
        return {"table": jnp.zeros((num_prompts, max_length, num_histories, num_outputs))}

    def places(prompt: Array, response: Array) -> _Place:
        """`[..., L]` of them."""
        _assert_fits("token_table", response, max_length)
        length = response.shape[-1]
        earlier = jnp.zeros_like(response)
        for age in range(min(order, length - 1), 0, -1):  # the oldest first
            before = jnp.pad(response[..., :-age], [(0, 0)] * (response.ndim - 1) + [(age, 0)])
            earlier = remember(earlier, before)
        index = jnp.broadcast_to(prompt[..., :1] - num_tokens, response.shape)
        return _Place(index, jnp.arange(length, dtype=jnp.int32), earlier)

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        return read(params, places(prompt, response))

    def start(
        params: PyTree,
        prompt: Array,
        response: Array | None = None,
        num_kept: Array | int = 0,
    ) -> tuple[PyTree, Array]:
        index, position = prompt[..., 0] - num_tokens, jnp.asarray(num_kept, jnp.int32)
        history = jnp.zeros_like(index)
        if response is not None:
            histories = places(prompt, response).history
            history = jnp.take(histories, position, axis=-1, mode="clip")
        place = _Place(index, position, history)
        return place, read(params, place)

    def step(params: PyTree, memory: _Place, token: Array) -> tuple[PyTree, Array]:
        place = _Place(memory.prompt, memory.position + 1, remember(memory.history, token))
        return place, read(params, place)

    return TokenNetwork(init, apply, start, step)


class _Cache(NamedTuple):
    """What a transformer remembers of the tokens so far."""

    position: Array  # [] int32, symbols so far
    keys: tuple[Array, ...]  # [..., heads, S, width / heads], a layer each
    values: tuple[Array, ...]


class _Rows(nn.Dense):
    """A dense layer that sees all leading axes as one: on a CPU its gradient is twice as fast."""

    def __call__(self, inputs: Array) -> Array:
        rows = super().__call__(inputs.reshape(-1, inputs.shape[-1]))
        return rows.reshape(*inputs.shape[:-1], self.features)


class _Block(nn.Module):
    """Attention, then a layer of its own for each symbol; both read a normalised stream."""

    num_heads: int

    @nn.compact
    def __call__(
        self, x: Array, position: Array | int = 0, cache: tuple[Array, Array] | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        """`[..., T, width]` symbols from `position` on -> the same, and all keys and values."""
        width = x.shape[-1]
        head_width = width // self.num_heads
        mixed = _Rows(3 * width, use_bias=False, kernel_init=_init(1.0))(nn.LayerNorm()(x))
        heads = mixed.reshape(*x.shape[:-1], 3 * self.num_heads, head_width).swapaxes(-3, -2)
        query, key, value = jnp.split(heads, 3, axis=-3)  # [..., heads, T, head_width]
        if cache is not None:
            key, value = (
                jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=-2)
                for old, new in zip(cache, (key, value), strict=True)
            )
        now = position + jnp.arange(x.shape[-2])
        seen = jnp.arange(key.shape[-2]) <= now[:, None]
        score = query @ key.swapaxes(-2, -1) / head_width**0.5
        weight = jax.nn.softmax(jnp.where(seen, score, -jnp.inf), axis=-1)
        attended = (weight @ value).swapaxes(-3, -2).reshape(x.shape)
        x = x + _Rows(width, use_bias=False, kernel_init=_init(1.0))(attended)
        hidden = nn.gelu(_Rows(4 * width, kernel_init=_init(2**0.5))(nn.LayerNorm()(x)))
        return x + _Rows(width, kernel_init=_init(1.0))(hidden), (key, value)


class _Transformer(nn.Module):
    """Symbols in, outputs out. The stream of a symbol depends on no later symbol.

    What is beyond the alphabet, as the blanks of an observation are, reads as the last symbol.
    """

    num_symbols: int
    num_outputs: int
    prompt_length: int
    max_length: int
    width: int
    num_layers: int
    num_heads: int

    @property
    def num_places(self) -> int:
        """Symbols that are ever read: nothing comes after the last token."""
        return self.prompt_length + self.max_length - 1

    def setup(self) -> None:
        self.symbols = nn.Embed(self.num_symbols, self.width, embedding_init=_init(1.0))
        self.places = self.param("places", _init(1.0), (self.num_places, self.width))
        self.blocks = [_Block(self.num_heads) for _ in range(self.num_layers)]
        self.norm = nn.LayerNorm()
        self.head = _Rows(self.num_outputs, kernel_init=_init(0.01))

    def __call__(self, prompt: Array, response: Array) -> Array:
        return self.head(self.features(prompt, response))

    def features(self, prompt: Array, response: Array) -> Array:
        x, _ = self._prefill(prompt, response)
        return self.norm(x[..., prompt.shape[-1] - 1 :, :])

    def start(
        self, prompt: Array, response: Array | None = None, num_kept: Array | int = 0
    ) -> tuple[_Cache, Array]:
        x, past = self._prefill(prompt, prompt[..., :1] if response is None else response)
        position = jnp.asarray(prompt.shape[-1] + num_kept, jnp.int32)
        missing = self.num_places - x.shape[-2]
        pad = [(0, 0)] * (x.ndim - 1) + [(0, missing), (0, 0)]
        keys, values = zip(*[[jnp.pad(part, pad) for part in layer] for layer in past], strict=True)
        last = jax.lax.dynamic_index_in_dim(x, position - 1, axis=-2, keepdims=False)
        return _Cache(position, keys, values), self.head(self.norm(last))

    def step(self, memory: _Cache, token: Array) -> tuple[_Cache, Array]:
        position, keys, values = memory
        place = jax.lax.dynamic_slice_in_dim(self.places, position, 1)
        x = self._embed(token)[..., None, :] + place
        past = []
        for block, key, value in zip(self.blocks, keys, values, strict=True):
            x, layer = block(x, position, (key, value))
            past.append(layer)
        keys, values = zip(*past, strict=True)
        return _Cache(position + 1, keys, values), self.head(self.norm(x[..., 0, :]))

    def _embed(self, symbols: Array) -> Array:
        return self.symbols(jnp.minimum(symbols, self.num_symbols - 1))

    def _prefill(self, prompt: Array, response: Array) -> tuple[Array, list[tuple[Array, Array]]]:
        """Reads all of the prompt and of the response but its last token."""
        symbols = jnp.concatenate([prompt, response[..., :-1]], axis=-1)
        x = self._embed(symbols) + self.places[: symbols.shape[-1]]
        past = []
        for block in self.blocks:
            x, layer = block(x)
            past.append(layer)
        return x, past


def transformer(
    num_symbols: int,
    num_outputs: int,
    prompt_length: int,
    max_length: int,
    *,
    width: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
) -> TokenNetwork:
    """A causal transformer (Vaswani et al., 2017, arXiv:1706.03762), normalised before each layer.

    Places are learned vectors. Tokens and symbols of the prompt share one alphabet. The first
    outputs hardly depend on what is read. `step` reads the keys and values of what came before
    from its memory, so a token costs one symbol's pass and one look back.

    Args:
      num_symbols: how many symbols prompts and responses are made of.
      num_outputs: numbers at each token: logits of the tokens, or 1 value, or several heads.
      prompt_length: symbols of every prompt.
      max_length: tokens of the longest response.
      width: of the stream; a multiple of `num_heads`.
      num_layers: attention and dense layer, so many times.
      num_heads: looks back that each attention takes at once.

    Raises:
      ValueError: `width` cannot be shared among the heads.
    """
    if width % num_heads:
        raise ValueError(f"transformer: width={width} must be a multiple of num_heads={num_heads}")
    module = _Transformer(
        num_symbols, num_outputs, prompt_length, max_length, width, num_layers, num_heads
    )

    def run(params: PyTree, *args: Any, method: str | None = None) -> Any:
        return module.apply({"params": params}, *args, method=method)

    def init(key: Key) -> PyTree:
        prompt = jnp.zeros(prompt_length, jnp.int32)
        return module.init(key, prompt, jnp.zeros(max_length, jnp.int32))["params"]

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        _assert_fits("transformer", response, max_length)
        return run(params, prompt, response)

    def start(
        params: PyTree,
        prompt: Array,
        response: Array | None = None,
        num_kept: Array | int = 0,
    ) -> tuple[PyTree, Array]:
        return run(params, prompt, response, num_kept, method="start")

    def step(params: PyTree, memory: _Cache, token: Array) -> tuple[PyTree, Array]:
        return run(params, memory, token, method="step")

    def features(params: PyTree, prompt: Array, response: Array) -> Array:
        _assert_fits("transformer", response, max_length)
        return run(params, prompt, response, method="features")

    def head(params: PyTree) -> vocabulary.Head:
        return vocabulary.Head(params["head"]["kernel"], params["head"]["bias"])

    return TokenNetwork(init, apply, start, step, features, head)


def _assert_fits(caller: str, response: Array, max_length: int) -> None:
    chex.assert_axis_dimension_lteq(
        response, -1, max_length, custom_message=f"{caller}: response must have at most max_length"
    )


class _Embedding(nn.Module):
    """Numbers as a vector of some width; if `deep`, a hidden layer beside a straight way."""

    width: int
    deep: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = _Rows(self.width, kernel_init=_init(1.0))(x)
        return x + _Rows(self.width, kernel_init=_init(1.0))(nn.gelu(x)) if self.deep else x


class _DecisionTransformer(nn.Module):
    """Returns to go, observations and actions in turn; outputs are read off the observations."""

    num_outputs: int
    max_length: int
    width: int
    num_layers: int
    num_heads: int
    mlp_embeddings: bool
    mlp_head: bool

    @nn.compact
    def __call__(self, to_go: Array, obs: Array, action: Array, time: Array) -> Array:
        times = nn.Embed(self.max_length, self.width, embedding_init=_init(1.0))
        when = times(jnp.minimum(time, self.max_length - 1))
        kinds = (to_go[..., None], obs, action)
        tokens = [_Embedding(self.width, self.mlp_embeddings)(x) + when for x in kinds]
        x = jnp.stack(tokens, axis=-2).reshape(*time.shape[:-1], -1, self.width)
        x = nn.LayerNorm()(x)
        for _ in range(self.num_layers):
            x, _ = _Block(self.num_heads)(x)
        x = nn.LayerNorm()(x[..., 1::3, :])
        if self.mlp_head:
            x = nn.gelu(_Rows(self.width, kernel_init=_init(2**0.5))(x))
        return _Rows(self.num_outputs, kernel_init=_init(0.01))(x)


def decision_transformer(
    num_outputs: int,
    max_length: int,
    *,
    width: int = 128,
    num_layers: int = 3,
    num_heads: int = 1,
    mlp_embeddings: bool = False,
    mlp_head: bool = False,
) -> Network:
    """A transformer of trajectories (Chen et al., 2021, arXiv:2106.01345).

    Output t sees steps up to t but the action of t, so it may say what that should be. A step is
    three vectors, and the three share a learned vector of their time, in place of positions.

    Args:
      num_outputs: numbers at each step.
      max_length: times that are told apart; those beyond count as the last.
      width: of the stream; a multiple of `num_heads`.
      num_layers: attention and dense layer, so many times.
      num_heads: looks back that each attention takes at once.
      mlp_embeddings: whether what enters does so by a hidden layer, and
      mlp_head: whether what leaves does (Shi et al., 2023, arXiv:2310.20587).

    Returns:
      `apply(params, (to_go [..., K], obs [..., K, D], action [..., K, A], time [..., K] int32))`
      is `[..., K, num_outputs]`.

    Raises:
      ValueError: `width` cannot be shared among the heads.
    """
    if width % num_heads:
        raise ValueError(
            f"decision_transformer: width={width} must be a multiple of num_heads={num_heads}"
        )
    module = _DecisionTransformer(
        num_outputs, max_length, width, num_layers, num_heads, mlp_embeddings, mlp_head
    )
    return Network(
        lambda key, x: module.init(key, *x)["params"], lambda p, x: module.apply({"params": p}, *x)
    )


# Critics and actors off policy --------------------------------------------------------------


def ensemble(network: Network, num: int) -> Network:
    """Several networks as one: `apply(params, x)` is `[num, ...]`, with parameters of their own.

    All see the same input. Of their answers take the least (TD3, SAC, RAVL), the mean or the
    largest (Digi-Q): say which at each use.

    Args:
      network: the one that there are several of.
      num: how many, at least 1.

    Raises:
      ValueError: `num` is not positive.
    """
    if num < 1:
        raise ValueError(f"ensemble: num={num} must be at least 1")
    return Network(
        lambda key, x: jax.vmap(network.init, in_axes=(0, None))(jax.random.split(key, num), x),
        jax.vmap(network.apply, in_axes=(0, None)),
    )


def action_value(
    hidden: Sequence[int], *, activation: str = "relu", layer_norm: bool = False
) -> Network:
    """A critic of continuous actions: `apply(params, (obs [..., D], a [..., A]))` is `[...]`."""
    critic = value(hidden, activation=activation, layer_norm=layer_norm)
    join = lambda x: jnp.concatenate(x, axis=-1)
    return Network(
        lambda key, x: critic.init(key, join(x)), lambda params, x: critic.apply(params, join(x))
    )


class _Dueling(nn.Module):
    """Shared layers, then one stream for the state and one for what sets actions apart."""

    hidden: Sequence[int]
    stream: int
    num_actions: int
    num_atoms: int
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        shared = _Tower(self.hidden, self.activation, 2**0.5)
        x = self.activation(shared(x))
        # Gradients of the two streams meet here, and go on shortened by the root of 2.
        x = x / 2**0.5 + jax.lax.stop_gradient(x - x / 2**0.5)
        v = _Tower((self.stream, self.num_atoms), self.activation, 1.0)(x)
        advantage = _Tower((self.stream, self.num_actions * self.num_atoms), self.activation, 1.0)(
            x
        )
        return v, advantage.reshape(*x.shape[:-1], self.num_actions, self.num_atoms)


def dueling(
    hidden: Sequence[int],
    num_actions: int,
    *,
    num_atoms: int | None = None,
    stream: int = 512,
    activation: str = "relu",
) -> Network:
    """A dueling critic (Wang et al., 2015, arXiv:1511.06581); see `values.dueling`.

    Args:
      hidden: widths of the shared layers, at least one.
      num_actions: A.
      num_atoms: m logits or quantiles an action, put together before any softmax; by default
        an action has one number.
      stream: width of the hidden layer of either stream.
      activation: one of `ACTIVATIONS`.

    Returns:
      `apply(params, obs [..., D])` is `[..., A]`, or `[..., A, m]`.
    """
    module = _Dueling(hidden, stream, num_actions, num_atoms or 1, ACTIVATIONS[activation])

    heads = _apply(module)

    def apply(params: PyTree, obs: Array) -> Array:
        v, advantage = heads(params, obs)
        q = v[..., None, :] + advantage - advantage.mean(-2, keepdims=True)
        return q[..., 0] if num_atoms is None else q

    return Network(lambda key, obs: module.init(key, obs)["params"], apply)


class _Implicit(nn.Module):
    """Features of an observation times features of a fraction, and a head for the actions."""

    hidden: Sequence[int]
    num_actions: int
    num_cosines: int
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, obs: Array, tau: Array) -> Array:
        x = self.activation(_Tower(self.hidden, self.activation, 2**0.5)(obs))
        wave = jnp.cos(jnp.pi * jnp.multiply.outer(tau, jnp.arange(self.num_cosines)))
        fraction = nn.relu(nn.Dense(self.hidden[-1], kernel_init=_init(2**0.5))(wave))
        q = nn.Dense(self.num_actions, kernel_init=_init(1.0))(x[..., None, :] * fraction)
        return jnp.swapaxes(q, -1, -2)


def implicit_quantiles(
    hidden: Sequence[int], num_actions: int, *, num_cosines: int = 64, activation: str = "relu"
) -> Network:
    """Implicit quantile networks (Dabney et al., 2018, arXiv:1806.06923).

    A fraction enters as cosines of it, so one network knows all quantiles of the return.

    Args:
      hidden: widths of the hidden layers, at least one.
      num_actions: A.
      num_cosines: features of a fraction.
      activation: one of `ACTIVATIONS`.

    Returns:
      `apply(params, (obs [..., D], tau [..., N]))` is `[..., A, N]`.
    """
    module = _Implicit(hidden, num_actions, num_cosines, ACTIVATIONS[activation])
    return Network(
        lambda key, x: module.init(key, *x)["params"], lambda p, x: module.apply({"params": p}, *x)
    )


def squashed_policy(
    num_actions: int,
    hidden: Sequence[int],
    *,
    activation: str = "relu",
    log_std_range: tuple[float, float] = (-5.0, 2.0),
) -> Network:
    """A Gaussian policy squashed into [-1, 1] by tanh (Haarnoja et al., 2018, arXiv:1801.01290).

    Args:
      num_actions: A, dimensions of the action.
      hidden: widths of the hidden layers.
      activation: one of `ACTIVATIONS`.
      log_std_range: bounds that the log standard deviations come near to, but never reach.

    Returns:
      `apply(params, obs [..., D])` is a `Squashed` law over `[..., A]`.
    """
    tower = mlp(hidden, 2 * num_actions, activation=activation, last_scale=0.01)
    low, high = log_std_range

    def apply(params: PyTree, obs: Array) -> Squashed:
        mean, raw = jnp.split(tower.apply(params, obs), 2, axis=-1)
        return Squashed(mean, low + (high - low) * jax.nn.sigmoid(raw))

    return Network(tower.init, apply)


class Squashed(NamedTuple):
    """The law of tanh(u), u Gaussian with independent dimensions."""

    mean: Array  # [..., A] of u
    log_std: Array  # [..., A] of u

    def sample_and_log_prob(self, seed: Key) -> tuple[Array, Array]:
        """`[..., A]` actions and their `[...]` log densities, exact at the bounds, too."""
        noise = jax.random.normal(seed, self.mean.shape)
        u = self.mean + jnp.exp(self.log_std) * noise
        log_prob = -0.5 * jnp.square(noise) - self.log_std - 0.5 * jnp.log(2.0 * jnp.pi)
        return jnp.tanh(u), (log_prob - tanh_log_slope(u)).sum(-1)

    def mode(self) -> Array:
        """`[..., A]` what it does when it is not exploring."""
        return jnp.tanh(self.mean)


def tanh_log_slope(u: Array) -> Array:
    """`log(1 - tanh(u)^2)`, without taking a number near 1 from 1."""
    return 2.0 * (jnp.log(2.0) - u - jax.nn.softplus(-2.0 * u))


# Noise in weights ---------------------------------------------------------------------------


def add_noise(params: PyTree, deviation: float = 0.5) -> PyTree:
    """Noisy networks (Fortunato et al., 2017, arXiv:1706.10295): a law of parameters.

    Any network will do: its layers are dictionaries of a kernel `[inputs, outputs]` and a bias.

    Args:
      params: of the network, which become the means.
      deviation: of a whole layer's noise, to begin with; each weight gets it over the root of the
        layer's inputs.

    Returns:
      Means and deviations, to be learned; `draw_noise` and `without_noise` make parameters of them.
    """

    def spread(layer: PyTree) -> PyTree:
        size = deviation / layer["kernel"].shape[0] ** 0.5
        return jax.tree.map(lambda x: jnp.full_like(x, size), layer)

    return {"mean": params, "deviation": _map_layers(spread, params)}


def draw_noise(noisy: PyTree, key: Key) -> PyTree:
    """Parameters from their law: a number for each input and output of a layer, and products.

    weight_ij = mean_ij + deviation_ij f(x_i) f(y_j)     f(x) = sign(x) sqrt(|x|), x and y Gaussian
    """
    num = len(jax.tree.leaves(noisy["mean"]))
    keys = iter(jax.random.split(key, num))

    def draw(layer: PyTree, deviation: PyTree) -> PyTree:
        x, y = (
            jnp.sign(z) * jnp.sqrt(jnp.abs(z))
            for z in (jax.random.normal(next(keys), (n,)) for n in layer["kernel"].shape)
        )
        noise = {"kernel": jnp.outer(x, y), "bias": y}
        return {name: layer[name] + deviation[name] * noise[name] for name in layer}

    return _map_layers(draw, noisy["mean"], noisy["deviation"])


def without_noise(noisy: PyTree) -> PyTree:
    """The means."""
    return noisy["mean"]


def _map_layers(function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
    is_layer = lambda tree: isinstance(tree, dict) and "kernel" in tree
    return jax.tree.map(function, *trees, is_leaf=is_layer)

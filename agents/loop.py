"""The one loop: it drives, spreads, sweeps and evaluates whatever is an `Agent`."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rlax_pref import _programs
from rlax_pref._threefry import plain, quick
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, PyTree, TrainState

if TYPE_CHECKING:
    from .hooks import Hook


def run(agent: Agent, state: TrainState, num_steps: int) -> tuple[TrainState, Metrics]:
    """Takes `num_steps` steps: pure, so it can be jitted, vmapped over seeds and sharded.

    Returns:
      The state after them, and what each step reported, stacked: `[num_steps]`.
    """
    step = _quick_step(agent)
    state, metrics = jax.lax.scan(lambda state, _: step(state), quick(state), length=num_steps)
    return plain(state), metrics


def make_mesh(devices: int | Sequence[jax.Device] | None = None) -> Mesh:
    """A row of devices over which environments are spread.

    Args:
      devices: which, or how many of each process, the first ones; all by default.

    Raises:
      ValueError: a process has fewer devices.
    """
    if isinstance(devices, int):
        number, own = devices, [jax.local_devices(i) for i in range(jax.process_count())]
        fewest = min(map(len, own))
        if not 1 <= number <= fewest:
            kind = jax.devices()[0].device_kind
            raise ValueError(f"devices={number}: JAX sees {fewest} ({kind}) in this process")
        devices = [device for row in own for device in row[:number]]
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("env",), axis_types=(AxisType.Auto,), devices=devices)


def shardings(mesh: Mesh) -> TrainState:
    """Where each part of a state lives: the actor split by environment, the rest everywhere."""
    everywhere: Any = NamedSharding(mesh, PartitionSpec())
    by_env = NamedSharding(mesh, PartitionSpec("env"))
    return TrainState(learner=everywhere, actor=by_env, key=everywhere, step=everywhere)


def init(agent: Agent, key: Key, mesh: Mesh | None = None) -> TrainState:
    """The agent's first state, born on its devices.

    Raises:
      ValueError: if a leaf of the actor cannot be split over the devices; it is named.
    """
    mesh = make_mesh() if mesh is None else mesh
    like(agent, key, mesh)
    return _compile_init(agent, mesh)(key)


@functools.lru_cache(maxsize=8)
def _trace_init(agent: Agent) -> Any:
    return jax.jit(born(agent))


@functools.lru_cache(maxsize=8)
def _compile_init(agent: Agent, mesh: Mesh) -> jax.stages.Wrapped:
    return jax.jit(_trace_init(agent), out_shardings=shardings(mesh))


Chunk = Callable[[TrainState, int], tuple[TrainState, Metrics]]


class Programs(NamedTuple):
    """All that a run executes, compiled."""

    init: Callable[[Key], TrainState]
    chunk: Chunk
    like: TrainState  # the shapes, dtypes and places of its states


def compile_programs(
    agent: Agent, key: Key, mesh: Mesh, every: int, kept_as: str | None = None
) -> Programs:
    """Compiles what a run executes, its beginning beside what goes on from there.

    Args:
      agent: what to train.
      key: like the one that the run will begin with.
      mesh: devices to spread environments over.
      every: agent steps per chunk.
      kept_as: a name to keep them under for other processes; see `find_programs`.

    Raises:
      ValueError: `every` is less than 1, or a leaf of the actor cannot be split over the devices.
    """
    states = like(agent, key, mesh)
    chunk = compile_chunk(agent, mesh, every)
    lower = {
        "init": lambda: _compile_init(agent, mesh).lower(key),
        "chunk": lambda: chunk.lower(states, every),
    }
    programs = _programs.compile_all(kept_as, list(mesh.devices.flat), lower)
    return Programs(**programs, like=states)


def find_programs(kept_as: str, mesh: Mesh) -> Programs | None:
    """What `compile_programs` kept under this name, which then need not even be traced.

    The name must say all of agent, mesh and `every` that is not written in the files of modules:
    of those, none may have changed. Needs JAX's compilation cache; see
    `compilation.enable_cache`.

    Returns:
      The programs, or None if there are none, or none that may be used.
    """
    found = _programs.find(kept_as, list(mesh.devices.flat))
    if found is None:
        return None
    state = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
        found["init"].out_info,
    )
    return Programs(**found, like=state)


@functools.lru_cache(maxsize=8)  # so that to go on with the same agent is not to compile anew
def compile_chunk(agent: Agent, mesh: Mesh, most: int) -> jax.stages.Wrapped:
    """Makes `chunk(state, n) -> (state, metrics)`, which takes n steps, up to `most`.

    It computes what `run` does, but n is an argument of the program: one compilation serves
    chunks of every length. The state given is used up (donated). Of the metrics, `[most]`, the
    first n are filled.

    Raises:
      ValueError: `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"every={most}: a chunk has at least 1 step")
    where = shardings(mesh)
    # Its trace serves both to learn the metrics' shapes and to run.
    step = jax.jit(_quick_step(agent))

    def chunk(state: TrainState, n: Array) -> tuple[TrainState, Metrics]:
        state = quick(state)
        row = jax.eval_shape(step, state)[1]
        rows = jax.tree.map(lambda x: jnp.zeros((most, *x.shape), x.dtype), row)

        def body(i: Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, rows = carry
            state, row = step(state)
            return state, jax.tree.map(lambda rows, x: rows.at[i].set(x), rows, row)

        state, rows = jax.lax.fori_loop(0, n, body, (state, rows))
        return plain(state), rows

    return jax.jit(chunk, donate_argnums=0, out_shardings=(where, where.step))


def train(
    agent: Agent,
    start: Key | TrainState,
    num_steps: int,
    *,
    every: int = 10,
    mesh: Mesh | None = None,
    hooks: "Sequence[Hook]" = (),
) -> TrainState:
    """Trains until the state's `step` is `num_steps`.

    Steps are compiled together in chunks and nothing is called back from inside them. The length
    of a chunk does not change what is learned.

    Args:
      agent: what to train.
      start: a key to begin with, or a state to go on from.
      num_steps: agent steps in all, those the state has behind it included.
      every: agent steps per chunk.
      mesh: devices to spread environments over; all by default.
      hooks: called in this order after each chunk; see `hooks`.

    Returns:
      The state reached.

    Raises:
      ValueError: `every` is less than 1, or the environments cannot be split over the devices.
    """
    mesh = make_mesh() if mesh is None else mesh
    if isinstance(start, TrainState):
        _check_actor(start.actor, mesh.size)
        state = TrainState(*map(_copy_to, shardings(mesh), start))
        chunk: Chunk = compile_chunk(agent, mesh, every)
    else:
        programs = compile_programs(agent, start, mesh, every)
        state, chunk = programs.init(start), programs.chunk
    return drive(chunk, state, num_steps, every=every, hooks=hooks)


def drive(
    chunk: Chunk, state: TrainState, num_steps: int, *, every: int, hooks: "Sequence[Hook]"
) -> TrainState:
    """What `train` does, from a state that is in place already and is used up (donated)."""
    step = int(state.step)
    while step < num_steps:
        n = min(every, num_steps - step)
        state, rows = chunk(state, n)
        step += n
        metrics: dict[str, Any] = {name: x[:n] for name, x in jax.device_get(rows).items()}
        for hook in hooks:
            metrics |= hook(state, metrics) or {}
    return state


def sweep(
    make: Callable[[Any], Agent],
    configs: PyTree,
    keys: Key,
    num_steps: int,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """Trains with every config and every seed at once, in one program.

        configs = runner.grid(ppo.Config(), learning_rate=[1e-3, 3e-4])
        states, metrics = runner.sweep(partial(ppo.make, env), configs, keys, 100)

    Equal to training one by one but for rounding, which grows as training goes on. Each device
    has runs of its own, which send each other nothing.

    Args:
      make: `config -> Agent`.
      configs: a config whose leaves are `[C]`; see `grid`.
      keys: `[S]` seeds.
      num_steps: agent steps of each.
      mesh: devices to spread the C x S runs over; by default as many as can share them evenly.

    Returns:
      States whose leaves lead with `[C, S]`, and metrics `[C, S, num_steps]`.

    Raises:
      ValueError: the runs cannot be shared evenly by the mesh.
    """
    num_configs, num_seeds = len(jax.tree.leaves(configs)[0]), len(keys)
    runs = num_configs * num_seeds
    if mesh is None:
        share = runs // jax.process_count()  # if there is a remainder it is refused below
        mesh = make_mesh(max(n for n in range(1, jax.local_device_count() + 1) if share % n == 0))
    if runs % mesh.size:
        raise ValueError(f"{mesh.size} devices cannot share {runs} runs evenly")
    by_seed = math.gcd(mesh.size, num_seeds)
    mesh = Mesh(mesh.devices.reshape(-1, by_seed), ("config", "seed"))
    places = [NamedSharding(mesh, PartitionSpec(axis)) for axis in mesh.axis_names]
    return compile_sweep(make, num_steps, mesh)(*map(_copy_to, places, (configs, keys)))


def compile_sweep(
    make: Callable[[Any], Agent], num_steps: int, mesh: Mesh
) -> Callable[[PyTree, Key], tuple[TrainState, Metrics]]:
    """Makes `sweep(configs [C], keys [S])`, spread over a mesh of axes `config` and `seed`."""

    def one(config: Any, key: Key) -> tuple[TrainState, Metrics]:
        agent = make(config)
        return run(agent, born(agent)(key), num_steps)

    by_config, by_seed = (PartitionSpec(axis) for axis in mesh.axis_names)
    return jax.jit(
        jax.shard_map(
            jax.vmap(jax.vmap(one, (None, 0)), (0, None)),
            mesh=mesh,
            in_specs=(by_config, by_seed),
            out_specs=PartitionSpec(*mesh.axis_names),
            check_vma=False,
        )
    )


def grid(config: Any, **values: Sequence[float]) -> Any:
    """All combinations of the values as one config whose leaves are `[C]`, the last fastest.

    Raises:
      ValueError: naming a setting that is unknown, or static and so no axis of a sweep.
    """
    table = np.meshgrid(*(np.asarray(v, np.float32) for v in values.values()), indexing="ij")
    count = table[0].size if table else 1
    columns = {name: jnp.asarray(x.ravel()) for name, x in zip(values, table, strict=True)}
    paths, tree = jax.tree_util.tree_flatten_with_path(config)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    for name in values:
        if name not in names:
            raise ValueError(f"{name} cannot be swept over: choose among {', '.join(names)}")
    leaves = [
        columns.get(name, jnp.broadcast_to(jnp.asarray(leaf), (count, *jnp.shape(leaf))))
        for name, (_, leaf) in zip(names, paths, strict=True)
    ]
    return jax.tree.unflatten(tree, leaves)


def evaluate(env: Env, policy: Policy, key: Key, num_episodes: int, max_steps: int) -> Metrics:
    """Lets a policy act for whole episodes, side by side. Pure, to be jitted.

    Args:
      env: the environment, which does not reset itself.
      policy: how to act.
      key: split into one key an episode.
      num_episodes: how many.
      max_steps: after which an episode is left unfinished.

    Returns:
      `return`, `[num_episodes]` sums of reward; `length`, int32; `finished`, bool: whether the
      episode ended by itself or by its time limit within `max_steps`.
    """
    key_reset, key_init, key_act = jax.vmap(lambda k: jax.random.split(k, 3), out_axes=1)(
        jax.random.split(quick(key), num_episodes)
    )
    states, obs = jax.vmap(env.reset)(key_reset)
    episodes = {
        "return": jnp.zeros(num_episodes),
        "length": jnp.zeros(num_episodes, jnp.int32),
        "finished": jnp.zeros(num_episodes, bool),
    }

    def one(key: Key, state: Any, memory: Any, obs: Array, t: Array) -> tuple[Any, Any, Any]:
        key_act, key_step = jax.random.split(jax.random.fold_in(key, t))
        memory, action = policy.act(memory, obs, key_act)
        state, timestep = env.step(key_step, state, action)
        return state, policy.observe(memory, timestep), timestep

    def step(carry: Any) -> Any:
        t, states, memories, obs, episodes = carry
        states, memories, timestep = jax.vmap(one, (0, 0, 0, 0, None))(
            key_act, states, memories, obs, t
        )
        going = ~episodes["finished"]
        episodes = {
            "return": episodes["return"] + jnp.where(going, timestep.reward, 0.0),
            "length": episodes["length"] + going,
            "finished": episodes["finished"] | timestep.done,
        }
        return t + 1, states, memories, timestep.last_obs, episodes

    def goes_on(carry: Any) -> Array:
        return (carry[0] < max_steps) & ~carry[-1]["finished"].all()

    first = (jnp.zeros((), jnp.int32), states, jax.vmap(policy.init)(key_init), obs, episodes)
    return jax.lax.while_loop(goes_on, step, first)[-1]


def born(agent: Agent) -> Callable[[Key], TrainState]:
    """`agent.init` with no weak types, which a checkpoint could not keep."""

    def strong(x: Any) -> Array:
        x = jnp.asarray(x)
        return x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x.astype(x.dtype)

    return lambda key: plain(jax.tree.map(strong, agent.init(quick(key))))


def _quick_step(agent: Agent) -> Callable[[TrainState], tuple[TrainState, Metrics]]:
    """`agent.step` from and to states whose keys are quick."""

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        state, metrics = agent.step(state)
        return quick(state), metrics

    return step


def like(agent: Agent, key: Key, mesh: Mesh) -> TrainState:
    """The shapes, dtypes and places of the agent's state.

    Raises:
      ValueError: if a leaf of the actor cannot be split over the devices; it is named.
    """
    state = _trace_init(agent).eval_shape(key)
    _check_actor(state.actor, mesh.size)

    def put(where: Any, part: PyTree) -> PyTree:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), part)

    return TrainState(*map(put, shardings(mesh), state))


def _copy_to(where: Any, part: PyTree) -> PyTree:
    """A copy to be used up, where it should be, which may span several hosts."""

    def copy(x: Array) -> Array:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                copy(jax.random.key_data(x)), impl=jax.random.key_impl(x)
            )
        return jax.device_put(x, where, may_alias=False)

    return jax.tree.map(copy, part)


def _check_actor(actor: PyTree, devices: int) -> None:
    """Every leaf of an actor leads with `[num_envs]`, so that it can be split over the devices."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(actor):
        if not leaf.ndim or leaf.shape[0] % devices:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(
                f"actor.{name} is {list(leaf.shape)}: it must lead with num_envs, "
                f"a multiple of the {devices} devices of the mesh"
            )

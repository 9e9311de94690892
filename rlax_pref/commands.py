"""Commands of `rlax-pref`: what each can be told, and what it does.

JAX, and what needs it, is imported only where a command runs.
"""

import dataclasses
import pathlib
from typing import Annotated, Any, Literal

import tyro

from rlax_pref.agents.configs import AGENTS
from rlax_pref.envs.registry import ENVS
from rlax_pref.names import lookup


@dataclasses.dataclass(frozen=True)
class Quickstart:
    """Learn what people want from their choices, and train a policy on it."""

    data: pathlib.Path | None = None
    """Folder of human choices; by default a scripted person makes them here."""
    condition: str | None = None
    """Which condition of that folder."""
    directory: pathlib.Path = pathlib.Path("runs/quickstart")
    """Where tables, pictures and the trained run go."""
    seed: int = 0
    """Of everything."""
    cache: bool = True
    """Keep compiled programs for the next time."""

    def __call__(self) -> None:
        """Runs it."""
        from rlax_pref import quickstart

        quickstart.run(self.directory, data=self.data, condition=self.condition, seed=self.seed)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train an agent in an environment."""

    agent: tyro.conf.Suppress[str]
    config: Annotated[Any, tyro.conf.arg(name="")]
    env: str = "cartpole"
    """Environment by name; see `rlax-pref list`."""
    data: pathlib.Path | None = None
    """What to learn from, a file or folder that `inspect` knows: steps (with --no-collect, only
    them), choices between segments (cpl, ipl), or, with --env texts, judged answers (dpo, kto)."""
    skip_bad: bool = False
    """Leave rows of texts out that are not sound; `inspect` says how many and why."""
    start_from: pathlib.Path | None = None
    """Run directory, of icvf or of the same agent, whose networks this one begins with."""
    env_steps: int = 500_000
    """Steps to take in the environment, all copies of it together."""
    seed: int = 0
    """Of the run."""
    directory: pathlib.Path | None = None
    """Run directory; by default runs/ENV-AGENT-SEED. If it holds this run, training goes on."""
    every: int = 10
    """Agent steps compiled together, and between two lines of the log."""
    save_every: int | None = None
    """Agent steps between two checkpoints; by default ten times `every`."""
    keep: int = 3
    """How many of the newest checkpoints stay, the best besides."""
    evaluate_every: int = 0
    """Agent steps between two evaluations of the policy as it is when it does not explore."""
    tensorboard: bool = False
    """Log for TensorBoard, too."""
    devices: int | None = None
    """Of this process, the first so many; by default all. A CPU is split into as many."""
    threads: int | None = None
    """Of a CPU; by default one a core. Small networks on small batches are faster with 1."""
    distributed: bool = False
    """One of several processes, each started with the same command; see the README."""
    cache: bool = True
    """Keep compiled programs for the next time."""

    def __call__(self) -> None:
        """Runs it."""
        import math

        from rlax_pref import agents, envs
        from rlax_pref.agents import runner

        name = self.env.replace("/", "-")
        directory = self.directory or pathlib.Path(f"runs/{name}-{self.agent}-{self.seed}")
        data = None if self.data is None else str(self.data.resolve())
        settings: dict[str, Any] = {}
        if self.env == "texts":
            if data is None:
                raise ValueError("--env texts: give the file with --data")
            settings, data = {"path": data, "skip_bad": self.skip_bad}, None
        env = envs.make(self.env, **settings)
        earlier = None if self.start_from is None else str(self.start_from.resolve())
        agent = agents.make(self.agent, env, self.config, data, earlier)
        mesh = runner.make_mesh(self.devices)
        kind = mesh.devices[0].device_kind
        _say(f"{directory}: {self.agent} in {self.env} on {mesh.size} {kind}")
        runner.train_run(
            directory,
            agent,
            math.ceil(self.env_steps / self.config.env_steps),
            seed=self.seed,
            description={
                "agent": self.agent,
                "env": self.env,
                "config": self.config,
                "evaluate_every": self.evaluate_every,
            }
            | ({"env_settings": settings} if settings else {})
            | ({} if data is None else {"data": data})
            | ({} if earlier is None else {"start_from": earlier}),
            every=self.every,
            save_every=self.save_every,
            keep=self.keep,
            mesh=mesh,
            hooks=_evaluation(env, agent, self.seed, self.evaluate_every),
            tensorboard=self.tensorboard,
            keep_programs=self.cache,
        )
        _say(f"Load what was learned with rlax_pref.load_policy({str(directory)!r})")


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run where it stopped."""

    directory: tyro.conf.Positional[pathlib.Path]
    """Run directory."""
    env_steps: int | None = None
    """Steps in the environment in all; by default as many as were asked for before."""
    devices: int | None = None
    """Of this process, the first so many; by default all. A CPU is split into as many."""
    threads: int | None = None
    """Of a CPU; by default one a core. Small networks on small batches are faster with 1."""
    distributed: bool = False
    """One of several processes, each started with the same command; see the README."""
    cache: bool = True
    """Keep compiled programs for the next time."""

    def __call__(self) -> None:
        """Runs it."""
        import math

        from rlax_pref import agents, envs
        from rlax_pref.agents import runner

        about = runner.describe(self.directory)
        config = agents.config_from(about["agent"], about["config"])
        env = envs.make(about["env"], **about.get("env_settings", {}))
        agent = agents.make(about["agent"], env, config, about.get("data"), about.get("start_from"))
        num_steps = None if self.env_steps is None else math.ceil(self.env_steps / config.env_steps)
        evaluation = _evaluation(env, agent, about["seed"], about.get("evaluate_every", 0))
        mesh = runner.make_mesh(self.devices)
        runner.resume(
            self.directory, num_steps, mesh=mesh, hooks=evaluation, keep_programs=self.cache
        )


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Let the policy of a run act, and say how well it does."""

    directory: tyro.conf.Positional[pathlib.Path]
    """Run directory."""
    episodes: int = 64
    """How many, side by side."""
    max_steps: int = 1000
    """After which an episode is left unfinished."""
    which: Literal["latest", "best"] = "latest"
    """The latest checkpoint or the best."""
    seed: int = 1
    """Of the episodes."""
    cache: bool = True
    """Keep compiled programs for the next time."""

    def __call__(self) -> None:
        """Runs it."""
        import jax
        import numpy as np

        from rlax_pref import envs
        from rlax_pref.agents import runner

        about = runner.describe(self.directory)
        env = envs.make(about["env"], **about.get("env_settings", {}))
        policy = runner.load_policy(self.directory, which=self.which)
        result = jax.jit(
            lambda key: runner.evaluate(env, policy, key, self.episodes, self.max_steps)
        )(jax.random.key(self.seed))
        for name in ("return", "length"):
            x = np.asarray(result[name], float)
            print(
                f"{name:>8}  mean {x.mean():.6g}  std {x.std():.3g}  "
                f"min {x.min():.6g}  max {x.max():.6g}"
            )
        print(f"finished  {int(result['finished'].sum())} of {self.episodes} episodes")


@dataclasses.dataclass(frozen=True)
class Collect:
    """Let the policies of runs act, and keep what they do to learn from offline."""

    directories: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Run directories, of one environment."""
    out: pathlib.Path
    """File to write, .npz or .hdf5."""
    steps: int = 100_000
    """Steps to take, all policies and all noises together."""
    noise: tuple[float, ...] = (0.0,)
    """Probabilities that an action is drawn at random; each policy acts with each of them."""
    num_envs: int = 16
    """Environments side by side. Of each the last trajectory is cut off."""
    which: tuple[Literal["latest", "best"] | int, ...] = ("latest",)
    """Checkpoints of each run: latest, best, or agent steps of some (see `train --keep`)."""
    seed: int = 0
    """Of starts, actions and moves."""
    cache: bool = True
    """Keep compiled programs for the next time."""

    def __call__(self) -> None:
        """Runs it."""
        import jax

        from rlax_pref import datasets, envs
        from rlax_pref.agents import runner

        if not self.directories:
            raise ValueError("collect: give at least one run directory")
        if self.out.exists():
            raise FileExistsError(f"{self.out} exists already; choose another name")
        worlds = [
            (about["env"], about.get("env_settings", {}))
            for about in map(runner.describe, self.directories)
        ]
        for directory, world in zip(self.directories, worlds, strict=True):
            if world != worlds[0]:
                raise ValueError(
                    f"{directory} is of another environment than {self.directories[0]}"
                )
        name, settings = worlds[0]
        env = envs.make(name, **settings)
        policies = [runner.load_policy(x, which=y) for x in self.directories for y in self.which]
        cases = [(policy, noise) for policy in policies for noise in self.noise]
        keys = jax.random.split(jax.random.key(self.seed), len(cases))
        parts = [
            datasets.collect(
                env, policy, key, -(-self.steps // len(cases)), num_envs=self.num_envs, noise=noise
            )
            for (policy, noise), key in zip(cases, keys, strict=True)
        ]
        datasets.d4rl.save(
            self.out,
            datasets.concatenate(*parts),
            env=name,
            env_settings=settings,
            runs=[str(directory) for directory in self.directories],
            noise=list(self.noise),
            which=list(self.which),
            seed=self.seed,
        )
        print(datasets.inspect(self.out))
        print(f"Load them with rlax_pref.datasets.load_transitions({str(self.out)!r}).data")


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Say what is in a file of preferences or of steps, and what is wrong with it."""

    path: tyro.conf.Positional[pathlib.Path]
    """File or folder: JSON rows (TRL, HH-RLHF), segments (.npz), pickled labels, or our own; steps
    of D4RL, OGBench, Minari or `collect`."""
    skip_bad: bool = False
    """Leave rows out that are not sound, and say how many and why."""
    cache: tyro.conf.Suppress[bool] = False

    def __call__(self) -> None:
        """Runs it."""
        from rlax_pref import datasets

        print(datasets.inspect(self.path, skip_bad=self.skip_bad))


@dataclasses.dataclass(frozen=True)
class List:
    """List methods, agents and environments."""

    kind: tyro.conf.Positional[str] = "all"
    """methods, agents, environments or all."""
    cache: tyro.conf.Suppress[bool] = False

    def __call__(self) -> None:
        """Runs it."""
        from rlax_pref import index

        sections = {
            "methods": {
                m.call: f"{m.title} ({m.paper})" if m.paper else m.title for m in index.methods()
            },
            "agents": {name: summary(config) for name, config in AGENTS.items()},
            "environments": ENVS,
        }
        chosen = (
            sections
            if self.kind == "all"
            else {self.kind: lookup(sections, self.kind, "kind of thing")}
        )
        for section, rows in chosen.items():
            width = max(map(len, rows))
            print(f"{section}:")
            for name, what in rows.items():
                print(f"  {name:<{width}}  {what}")


def summary(thing: type) -> str:
    """The first line of what is said of a command or of settings."""
    return (thing.__doc__ or "").splitlines()[0]


def _say(line: str) -> None:
    """Prints it, once for all processes."""
    import jax

    if jax.process_index() == 0:
        print(line)


def _evaluation(env: Any, agent: Any, seed: int, every: int) -> list[Any]:
    """The hook that evaluates every so many agent steps, if any."""
    if not every:
        return []
    import jax

    from rlax_pref.agents import hooks

    key = jax.random.fold_in(jax.random.key(seed), 1)  # not the run's: it must not change training
    return [hooks.Evaluation(env, agent.policy, key, every=every)]


COMMANDS: dict[str, type] = {
    "quickstart": Quickstart,
    "train": Train,
    "resume": Resume,
    "evaluate": Evaluate,
    "collect": Collect,
    "inspect": Inspect,
    "list": List,
}

"""The main job: learn what people want from their choices, and train a policy on it.

On the delivery task, choices between segments are made by a scripted person who minds regret
(or are read from a study of real people). From the choices alone, three rewards and the optimal
advantage are learned; policies are extracted exactly and scored under the true reward. Then PPO
is trained, agent and environment in one compiled program, on the true reward, on the learned
one, and on the learned advantage taken for a reward.
"""

import dataclasses
import json
import pathlib
import shutil
import sys
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from rlax_pref import advantages, metrics, plots, preferences, rewards, tabular
from rlax_pref.agents import configs, ppo, runner
from rlax_pref.datasets import knox, report
from rlax_pref.envs import GridWorld, delivery
from rlax_pref.names import lookup
from rlax_pref.types import Array, Key, Preferences, Segments

DISCOUNT = 0.999
NUM_PAIRS, SEGMENT_LENGTH = 10_000, 3
NUM_UPDATES, NUM_SEEDS = 50, 4
PPO = configs.PPO(num_envs=32, num_steps=64, discount=DISCOUNT, anneal_updates=NUM_UPDATES)
NEAR_OPTIMAL = 0.9
MODELS = ("partial return", "expected return", "regret", "optimal advantage")


class Task(NamedTuple):
    """The world, and what is true in it."""

    world: GridWorld
    mdp: tabular.TabularMDP
    reward: Array  # [S, A]
    optimum: tabular.Optimum


class Estimate(NamedTuple):
    """What was learned under one model of how people choose."""

    table: Array  # [S, A] a reward, or an advantage
    test_scores: Array  # [N', 2] what it says the held-out segments are worth
    policies: dict[str, Array]  # by how they were extracted, [S, A]


def scripted_choices(task: Task, key: Key, num_pairs: int) -> Preferences:
    """Random segments, and the choices of a person who minds regret and sometimes errs."""
    key_segments, key_teacher = jax.random.split(key)
    segments = preferences.sample_segments(key_segments, task.mdp, (num_pairs, 2), SEGMENT_LENGTH)
    score = preferences.general_regret(
        tabular.lookup(task.optimum.advantage, segments), segments.live
    )
    p_first = preferences.teacher(key_teacher, score[:, 0], score[:, 1])
    return Preferences(segments, p_first, jnp.ones(num_pairs))


def learn(task: Task, key: Key, train: Preferences, test: Segments) -> dict[str, Estimate]:
    """Learns under each model of how people choose: what matters to them?"""
    key_library, *keys = jax.random.split(key, 5)
    mdp, features = task.mdp, task.mdp.features
    library = rewards.policy_library(key_library, mdp, discount=DISCOUNT, without=task.reward)
    fits = {
        "partial return": rewards.fit_partial_return(keys[0], train, features),
        "expected return": rewards.fit_regret(
            keys[1], train, features, library, score="expected_return"
        ),
        "regret": rewards.fit_regret(keys[2], train, features, library),
    }
    estimates = {}
    for name, fit in fits.items():
        table = jnp.matmul(features, fit.params, precision="highest")
        best = tabular.optimal(mdp, table, DISCOUNT)
        v_first, v_last = best.value[test.state[..., 0]], best.value[test.state[..., -1]]
        r_t = tabular.lookup(table, test)
        score = {
            "partial return": preferences.partial_return(r_t, test.live),
            "expected return": preferences.expected_return(r_t, test.live, v_last),
            "regret": preferences.regret(r_t, test.live, v_first, v_last),
        }[name]
        estimates[name] = Estimate(table, score, {"optimal": best.policy})
    fit = advantages.fit_optimal_advantage(keys[3], train, *task.reward.shape)
    table = jnp.where(mdp.terminal[:, None], 0.0, fit.params)
    estimates["optimal advantage"] = Estimate(
        table,
        preferences.partial_return(tabular.lookup(table, test), test.live),
        {
            "greedy": tabular.greedy(table),
            "as reward": tabular.optimal(mdp, table, DISCOUNT).policy,
        },
    )
    return estimates


@partial(jax.jit, static_argnames="num_train")
def study(task: Task, key: Key, pairs: Preferences, num_train: int) -> tuple[Any, Any]:
    """Learns from some of the pairs and measures on the others: one compiled program."""
    key_order, key_learn = jax.random.split(key)
    order = jax.random.permutation(key_order, pairs.p_first.size)
    pairs = jax.tree.map(lambda x: x[order], pairs)
    train = jax.tree.map(lambda x: x[:num_train], pairs)
    test: Preferences = jax.tree.map(lambda x: x[num_train:], pairs)
    estimates = learn(task, key_learn, train, test.segments)
    measured: dict[str, Any] = {}
    for name, estimate in estimates.items():
        z = estimate.test_scores[:, 0] - estimate.test_scores[:, 1]
        measured[name] = {
            "nll": preferences.logistic_loss(z, test.p_first).mean(),
            "accuracy": metrics.accuracy(z, test.p_first),
            "scaled_return": {
                how: tabular.scaled_return(task.mdp, task.reward, policy, DISCOUNT)
                for how, policy in estimate.policies.items()
            },
        }
    return {name: estimate.table for name, estimate in estimates.items()}, measured


@jax.jit
def centred(task: Task, table: Array) -> Array:
    """A learned reward `[S, A]` in the form in which the optimal mean return is 0.

    Choices by regret do not tell how much it pays to end an episode, however it ends. Left as it
    comes out, a learned goal may look like a loss, and PPO would have to look a thousand steps
    ahead to see that never reaching it costs more.
    """
    mean = tabular.mean_return(task.mdp, tabular.optimal(task.mdp, table, DISCOUNT).value)
    return rewards.potential_shaping(task.mdp, table, mean, DISCOUNT)


@partial(jax.jit, static_argnames="num_updates")
def train_curves(task: Task, tables: Array, keys: Key, num_updates: int) -> Array:
    """Trains PPO on every reward with every seed at once, and scores it after every update.

    Args:
      task: the world.
      tables: `[R, S, A]` rewards to train on.
      keys: `[seeds]`.
      num_updates: of PPO.

    Returns:
      `[R, seeds, num_updates]` scaled return of the policy under the *true* reward, solved exactly.
    """

    def mean_return(policy: Array) -> Array:
        value = tabular.evaluate(task.mdp, task.reward, policy, DISCOUNT)
        return tabular.mean_return(task.mdp, value)

    uniform = mean_return(tabular.uniform_policy(task.mdp))
    optimal = mean_return(task.optimum.policy)

    def one(table: Array, key: Key) -> Array:
        agent = ppo.make(dataclasses.replace(task.world, reward_table=table), PPO)

        def update(state: Any, _: None) -> tuple[Any, Array]:
            state = agent.step(state)[0]
            policy = policy_table(task.world, agent.policy(state.learner), state.key)
            return state, metrics.scaled_return(mean_return(policy), uniform, optimal)

        return jax.lax.scan(update, agent.init(key), length=num_updates)[1]

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(tables, keys)


def policy_table(world: GridWorld, policy: Any, key: Key) -> Array:
    """`[S, A]` what a policy does in every cell."""
    _, action = jax.vmap(lambda cell: policy.act(policy.init(key), world.observe(cell), key))(
        jnp.arange(world.num_states)
    )
    return jax.nn.one_hot(action, world.action_space.num)


def load_choices(
    folder: pathlib.Path, condition: str | None, world: GridWorld
) -> tuple[str, Preferences]:
    """Human choices of one condition; by default the first whose name ends in Control."""
    found = knox.find_human(folder)
    controls = [name for name in found if name.endswith("Control")]
    name = condition or (controls or list(found))[0]
    study = knox.load_human(lookup(found, name, "condition"), world)
    return name, study.preferences


def _clear(directory: pathlib.Path) -> None:
    """Makes room for a new run where an earlier quickstart left its own files, and only there."""
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not (directory / "results.json").exists():
        raise FileExistsError(
            f"{directory} is not empty and holds no earlier quickstart; name another directory"
        )
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    for name in ("run.json", "metrics.jsonl", "results.json", "curves.png", "advantages.png"):
        (directory / name).unlink(missing_ok=True)


def run(
    directory: str | pathlib.Path = "runs/quickstart",
    *,
    data: str | pathlib.Path | None = None,
    condition: str | None = None,
    num_pairs: int = NUM_PAIRS,
    seed: int = 0,
    num_updates: int = NUM_UPDATES,
    num_seeds: int = NUM_SEEDS,
) -> dict[str, Any]:
    """Does the main job from end to end, and prints what came of it.

    Args:
      directory: gets `results.json`, `metrics.jsonl`, `checkpoints/` (of PPO on the learned
        reward; `load_policy(directory)` loads it), `curves.png` and `advantages.png`.
      data: a folder of human choices, see `datasets.knox`; by default a scripted person chooses.
      condition: which condition of the folder.
      num_pairs: pairs that the scripted person judges.
      seed: of everything.
      num_updates: of PPO.
      num_seeds: of PPO, for the learning curves.

    Returns:
      What `results.json` holds.

    Raises:
      DataError: the folder does not hold what it should.
      FileExistsError: the directory holds something else.
    """
    began, directory, console = time.perf_counter(), pathlib.Path(directory), Console()
    _clear(directory)
    directory.mkdir(parents=True, exist_ok=True)
    key_choices, key_study, key_curves = jax.random.split(jax.random.key(seed), 3)
    world = delivery()
    mdp, reward = world.tabular(), world.rewards()
    task = Task(world, mdp, reward, jax.jit(tabular.optimal)(mdp, reward, DISCOUNT))

    if data is None:
        name, pairs = "a scripted person", scripted_choices(task, key_choices, num_pairs)
    else:
        name, pairs = load_choices(pathlib.Path(data), condition, world)
    about = report(name, pairs)
    console.print(f"Choices of {about}", highlight=False, soft_wrap=True)

    num_train = round(0.8 * about.num)
    tables, measured = jax.device_get(study(task, key_study, pairs, num_train))
    measured = {model: measured[model] for model in MODELS}  # jit sorts its keys
    console.print(_fits_table(measured, about.num - num_train), "")

    trained_on = {
        "the true reward": reward,
        "the learned reward": centred(task, jnp.asarray(tables["regret"])),
        "the learned advantage": tables["optimal advantage"],
    }
    console.print(f"PPO on {len(trained_on)} rewards at once, with {num_seeds} seeds each ...")
    curves = np.asarray(
        train_curves(
            task,
            jnp.stack(list(trained_on.values())),
            jax.random.split(key_curves, num_seeds),
            num_updates,
        )
    )
    by_reward = dict(zip(trained_on, curves, strict=True))
    console.print(_ppo_table(by_reward), "")

    # One more, on the learned reward, as a run that can be resumed, evaluated and loaded.
    learned = np.asarray(trained_on["the learned reward"])
    agent = ppo.make(dataclasses.replace(world, reward_table=jnp.asarray(learned)), PPO)
    runner.train_run(
        directory,
        agent,
        num_updates,
        seed=seed,
        every=10,
        description={
            "agent": "ppo",
            "env": "delivery",
            "env_settings": {"reward_table": learned.tolist()},
            "config": PPO,
        },
        progress=sys.stderr.isatty(),
    )

    steps = (1 + np.arange(num_updates)) * PPO.num_envs * PPO.num_steps
    plots.learning_curves(
        directory / "curves.png",
        steps,
        {f"PPO on {name}": values for name, values in by_reward.items()},
        ylabel="scaled return under the true reward",
        title=f"Trained on what was learned from {about.num:,} choices",
        reference={"optimal": 1.0, "uniformly random": 0.0},
        ylim=(-1.0, 1.05),
    )
    plots.grid_advantages(
        directory / "advantages.png",
        np.asarray(world.board),
        {
            "the truth: A*": np.asarray(task.optimum.advantage),
            f"learned from {about.num:,} choices": tables["optimal advantage"],
        },
        title="How much worse is each action than the best? (dark: none)",
    )
    results = {
        "choices": vars(about),
        "learned": {model: jax.tree.map(float, row) for model, row in measured.items()},
        "ppo": {
            name: {"scaled_return": values[:, -1].tolist(), "curve": values.mean(0).tolist()}
            for name, values in by_reward.items()
        },
        "env_steps": steps.tolist(),
        "seconds": round(time.perf_counter() - began, 1),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }
    fresh = directory / "results.json.tmp"
    fresh.write_text(json.dumps(results, indent=2) + "\n")
    fresh.replace(directory / "results.json")
    console.print(
        f"In {directory}/: curves.png, advantages.png, results.json, and a run to load:\n"
        f'  rlax_pref.load_policy("{directory}")\n{results["seconds"]} s in all',
        highlight=False,
    )
    return results


def _fits_table(measured: dict[str, Any], num_test: int) -> Table:
    table = Table(
        title=f"What the choices teach, if people compare ... ({num_test} kept aside to test)",
        caption="scaled return: 1 is optimal, 0 is random; 0.9 is near-optimal",
        title_justify="left",
        caption_justify="left",
    )
    for column in ("model", "policy"):
        table.add_column(column, no_wrap=True)
    for column in ("nats a choice", "called right", "scaled return"):
        table.add_column(column, justify="right", no_wrap=True)
    for model, row in measured.items():
        for how, scaled_return in row["scaled_return"].items():
            table.add_row(
                model,
                how,
                f"{row['nll']:.3f}",
                f"{100 * row['accuracy']:.1f} %",
                f"{scaled_return:.3f}",
                style="bold" if scaled_return >= NEAR_OPTIMAL else None,
            )
    return table


def _ppo_table(curves: dict[str, np.ndarray]) -> Table:
    table = Table(title="PPO, scored under the true reward", title_justify="left")
    table.add_column("trained on", no_wrap=True)
    for column in ("median seed", "worst", "best"):
        table.add_column(column, justify="right")
    for name, values in curves.items():
        last = values[:, -1]
        table.add_row(name, f"{np.median(last):.3f}", f"{last.min():.3f}", f"{last.max():.3f}")
    return table

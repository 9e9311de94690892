"""The main job, small: every file is written, and what is learned is worth something."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import rlax_pref
from rlax_pref import envs, quickstart, tabular


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    directory = tmp_path_factory.mktemp("quickstart") / "run"
    results = quickstart.run(directory, num_pairs=10_000, num_updates=3, num_seeds=1)
    return directory, results


def test_what_is_learned(done):
    """From 10,000 choices of a person who minds regret, thinking of regret explains the most."""
    learned = done[1]["learned"]
    assert list(learned) == list(quickstart.MODELS)
    assert learned["regret"]["scaled_return"]["optimal"] >= 0.9
    assert learned["optimal advantage"]["scaled_return"]["greedy"] >= 0.9
    assert learned["regret"]["nll"] < 0.9 * learned["partial return"]["nll"]
    assert learned["regret"]["accuracy"] > 0.8


def test_what_is_written(done):
    directory, results = done
    assert json.loads((directory / "results.json").read_text()) == json.loads(json.dumps(results))
    assert len((directory / "metrics.jsonl").read_text().splitlines()) == 1
    for name in ("curves.png", "advantages.png"):
        picture = np.asarray(Image.open(directory / name).convert("RGB"))
        assert picture.shape[0] > 300 and picture.std() > 10
    assert [len(x["curve"]) for x in results["ppo"].values()] == [3, 3, 3]


def test_the_run_can_be_loaded(done):
    """In one line, as a policy, that acts in the task it was trained in."""
    policy = rlax_pref.load_policy(done[0])
    env = envs.delivery()
    key = jax.random.key(0)
    _, obs = env.reset(key)
    _, action = policy.act(policy.init(key), obs, key)
    assert 0 <= int(action) < env.action_space.num


def test_the_readme_runs(done, tmp_path, monkeypatch):
    """Its Python, word for word but for the length of training."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "quickstart").symlink_to(done[0])
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    control, of_tokens = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    names: dict = {}
    exec(control.replace("s, 50", "s, 2"), names)
    assert int(names["state"].step) == 2
    np.testing.assert_allclose(names["advantage"][-2:], [1 + 0.99 * 0.95, 1], rtol=1e-6)
    exec(of_tokens, names)
    shapes = jax.eval_shape(names["agent"].init, jax.random.key(0))
    assert shapes.actor.prompt.shape == (32, 8)


def test_a_second_time_replaces_the_first(done):
    directory, first = done
    again = quickstart.run(directory, num_pairs=10_000, num_updates=3, num_seeds=1)
    assert again["learned"] == first["learned"] and again["ppo"] == first["ppo"]


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(FileExistsError, match="holds no earlier quickstart"):
        quickstart.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_policy_table_is_what_the_policy_does():
    world = envs.delivery()
    best = tabular.optimal(world.tabular(), world.rewards(), 0.999).policy
    act = lambda memory, obs, key: (memory, jnp.argmax(obs @ best))
    policy = rlax_pref.types.Policy(lambda key: (), act)
    table = quickstart.policy_table(world, policy, jax.random.key(0))
    np.testing.assert_array_equal(table.argmax(-1), best.argmax(-1))
    assert table.shape == (100, 4) and (table.sum(-1) == 1).all()


def test_human_choices_are_found(data):
    """By default a control condition; by name any; and a wrong name is helped."""
    world = envs.delivery()
    name, pairs = quickstart.load_choices(data, None, world)
    assert name.endswith("Control") and pairs.p_first.size > 400
    with pytest.raises(ValueError, match="Did you mean 'Question-Control'"):
        quickstart.load_choices(data, "Question-Contrl", world)

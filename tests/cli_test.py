"""The command line: quick to answer, plain about mistakes, and the same runs as from Python."""

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import rlax_pref
from rlax_pref import agents, checkpoints, cli, envs
from rlax_pref.agents import loop

SMALL = ["--num-envs", "2", "--num-steps", "8", "--num-minibatches", "2", "--hidden", "4"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["train", "ppo", "--help"],
        ["resume", "--help"],
        ["collect", "--help"],
        ["inspect", "--help"],
    ],
)
def test_help_does_not_wait_for_jax(arguments):
    script = (
        "import sys\n"
        "from rlax_pref import cli\n"
        "try: cli.parse(sys.argv[1:])\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'jax', 'flax', 'numpy', 'matplotlib'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(rlax_pref.__file__).parents[1])},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Unknown command 'trian'. Did you mean 'train'?"),
        (["train", "ppoo"], "Unknown agent 'ppoo'. Did you mean 'ppo'?"),
        (["train", "ppo", "--env", "cartpol"], "Did you mean 'cartpole'?"),
        (["train", "ppo", "--num-steps", "30"], "must be a multiple of num_minibatches"),
        (["train", "ppo", "--threads", "0"], "threads=0: there is at least 1"),
        (["list", "method"], "Did you mean 'methods'?"),
        (["evaluate", "no/such/run"], "no run in no/such/run"),
        (["resume", "no/such/run"], "no run in no/such/run"),
        (["collect", "no/such/run", "--out", "x.npz"], "no run in no/such/run"),
        (
            ["train", "ppo", "--data", "x.npz"],
            "does not learn from a file of steps; what does: dqn",
        ),
        (["train", "dqn", "--data", "x.npz"], "x.npz: file: does not exist"),
        (["collect", "run", "--out", "."], ". exists already; choose another name"),
        (["quickstart", "--data", "no/such/data"], "no condition found"),
        (["inspect", "no/such/file"], "no/such/file: file: does not exist. Fix: check"),
    ],
)
def test_mistakes_are_said_in_a_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [] if arguments[0] in ("list", "trian", "inspect") else ["--no-cache"]
    assert cli.main([*arguments, *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.parse(["train", "ppo", "--lerning-rate", "1"])
    assert stop.value.code == 2
    assert "learning-rate" in capsys.readouterr().err


def test_settings_arrive():
    command = cli.parse(["train", "ppo", "--env", "pendulum", "--learning-rate", "0.1", *SMALL])
    assert (command.env, command.config.learning_rate) == ("pendulum", 0.1)
    assert (command.config.hidden, command.config.env_steps) == ((4,), 16)


def test_list(capsys):
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("advantages.gae", "preferences.regret", "ppo ", "cartpole", "gymnax/NAME"):
        assert name in out
    assert cli.main(["list", "agents"]) == 0
    assert "advantages.gae" not in capsys.readouterr().out


def test_inspect(tmp_path, capsys):
    """A sound file, one with a bad row, and the same with the row left out."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    assert cli.main(["inspect", str(path)]) == 0
    assert "rows.jsonl: 1 pairs of answers" in capsys.readouterr().out
    path.write_text(path.read_text() + '{"prompt": "a", "chosen": "b"}\n')
    assert cli.main(["inspect", str(path)]) == 1
    error = capsys.readouterr().err
    assert "line 2: rejected: is missing" in error and len(error.splitlines()) == 1
    assert cli.main(["inspect", str(path), "--skip-bad"]) == 0
    out = capsys.readouterr().out
    assert "1 pairs of answers" in out and "left out 1:" in out and "line 2: rejected" in out


def test_train_on_texts(tmp_path, capsys):
    """Rows of pairs, one of them bad, become a policy; a run knows where its texts were."""
    path, run = tmp_path / "rows.jsonl", str(tmp_path / "run")
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "a"}\n')
    train = ["train", "dpo", "--env", "texts", "--directory", run, "--env-steps", "4", "--no-cache"]
    train += ["--batch-size", "1", "--width", "4", "--num-layers", "1", "--num-heads", "1"]
    assert cli.main(train) == 1
    assert "--env texts: give the file with --data" in capsys.readouterr().err
    assert cli.main([*train, "--data", str(path)]) == 1
    assert "line 2: chosen: is missing" in capsys.readouterr().err
    assert cli.main([*train, "--data", str(path), "--skip-bad"]) == 0
    row = json.loads(Path(run, "metrics.jsonl").read_text().splitlines()[-1])
    assert row["rewards/margins"] > 0 and row["return"] is None
    assert cli.main(["evaluate", run, "--episodes", "1", "--no-cache"]) == 0


def test_train_evaluate_resume(tmp_path, capsys):
    """A run that is trained, judged and gone on with, and how far it is."""
    run = str(tmp_path / "run")
    train = ["train", "ppo", "--env-steps", "64", "--directory", run, "--evaluate-every", "2"]
    train += ["--save-every", "2"]
    assert cli.main([*train, "--every", "2", "--no-cache", *SMALL]) == 0
    rows = [json.loads(x) for x in Path(run, "metrics.jsonl").read_text().splitlines()]
    assert [row["env_steps"] for row in rows] == [32, 64]
    assert all(row["eval_return"] > 0 for row in rows)
    assert "load_policy" in capsys.readouterr().out

    assert cli.main(["evaluate", run, "--episodes", "3", "--no-cache"]) == 0
    out = capsys.readouterr().out
    assert "return  mean" in out and "finished  3 of 3 episodes" in out

    file = str(tmp_path / "data.npz")
    collect = ["collect", run, "--out", file, "--steps", "40", "--num-envs", "2", "--no-cache"]
    assert cli.main([*collect, "--noise", "0", "1", "--which", "2", "latest"]) == 0
    out = capsys.readouterr().out
    assert (
        "data: 40 steps in" in out
        and "env cartpole" in out
        and "noise [0.0, 1.0], which [2, 'latest']" in out
    )
    assert "load_transitions" in out
    action = rlax_pref.datasets.load_transitions(file).data.a_tm1
    assert action.shape == (40,) and set(action[10:20]) == {0, 1}
    assert cli.main(["inspect", file]) == 0
    assert capsys.readouterr().out.startswith("data: 40 steps in")

    offline = ["train", "dqn", "--data", file, "--no-collect", "--directory", f"{run}-2"]
    offline += ["--batch-size", "8", "--hidden", "4", "--env-steps", "32", "--every", "2"]
    assert cli.main([*offline, "--no-cache"]) == 0
    assert cli.main(["evaluate", f"{run}-2", "--episodes", "2", "--no-cache"]) == 0
    assert "return  mean" in capsys.readouterr().out
    other = ["train", "sac", "--env", "pendulum", "--data", file, "--no-cache"]
    assert cli.main(other) == 1
    assert "data.npz: observations: have shape [4]" in capsys.readouterr().err

    assert cli.main(["resume", run, "--env-steps", "96", "--no-cache"]) == 0
    rows = [json.loads(x) for x in Path(run, "metrics.jsonl").read_text().splitlines()]
    assert [row["env_steps"] for row in rows] == [32, 64, 96]
    assert rows[-1]["eval_return"] > 0


def test_more_devices_than_there_are(tmp_path, capsys):
    assert jax.devices()  # looked for already, so that no CPU is split for those after us
    run = str(tmp_path / "run")
    assert cli.main(["train", "ppo", "--devices", "99", "--directory", run, "--no-cache"]) == 1
    assert "devices=99: JAX sees 1 (cpu) in this process" in capsys.readouterr().err
    assert not Path(run).exists()


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="a minute; set RLAX_PREF_SLOW=1")
def test_two_processes_then_one(tmp_path):
    """Two hosts of two devices learn what one device learns, which goes on where they stopped."""
    small = ["--num-envs", "4", *SMALL[2:], "--every", "2", "--save-every", "2", "--no-cache"]
    train = lambda run, steps: ["train", "ppo", *small, "--directory", str(run), *steps]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    shared = tmp_path / "shared"
    command = train(shared, ["--env-steps", "128", "--devices", "2", "--distributed"])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hosts = [
        subprocess.Popen(
            [sys.executable, "-m", "rlax_pref.cli", *command],
            **pipes,
            env={name: x for name, x in os.environ.items() if name != "XLA_FLAGS"}
            | {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": str(host),
                "JAX_PLATFORMS": "cpu",
                "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
            },
        )
        for host in range(2)
    ]
    alone = tmp_path / "alone"
    assert cli.main(train(alone, ["--env-steps", "192", "--devices", "1", "--keep", "9"])) == 0
    try:
        (said, _), (other, complaints) = (host.communicate(timeout=200) for host in hosts)
        assert [host.returncode for host in hosts] == [0, 0], complaints
    finally:
        for host in hosts:
            host.kill()
    assert "ppo in cartpole on 4 cpu" in said and "ppo" not in other
    assert "steps/s" not in complaints

    def same(step):
        agent = agents.make("ppo", envs.make("cartpole"), cli.parse(command).config)
        like = jax.eval_shape(loop.born(agent), jax.random.key(0))
        pair = [checkpoints.restore(run, like, which=step)[1].learner for run in (shared, alone)]
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6, rtol=1e-6), *pair)

    same(4)
    resume = ["resume", str(shared), "--env-steps", "192", "--devices", "1", "--no-cache"]
    assert cli.main(resume) == 0
    same(6)
    rows = [json.loads(x) for x in (shared / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]

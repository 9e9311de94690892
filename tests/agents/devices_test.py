"""The loop on several devices and processes, and in the memory of one."""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest

import rlax_pref
from rlax_pref import agents, envs
from rlax_pref.agents import loop, runner
from rlax_pref.checkpoints import Checkpoints

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
KEY = jax.random.key(0)


def test_sharded_equals_single(tmp_path, on_four_devices):
    """On 1, 2 and 4 devices: same parameters to 1e-6, nothing gathered, moved between meshes."""
    script = """
        import sys
        import jax, numpy as np
        sys.path.insert(0, sys.argv[1])
        import toy
        from rlax_pref.agents import runner

        agent, key, directory = toy.make(), jax.random.key(0), sys.argv[2]
        one, two, four = (runner.make_mesh(n) for n in (1, 2, 4))
        assert four == runner.make_mesh()
        state = runner.init(agent, key, four)
        assert {s.data.shape for s in state.actor.x.addressable_shards} == {(2, 3)}
        assert {s.data.shape for s in state.learner["w"].addressable_shards} == {(3, 3)}
        program = runner.compile_chunk(agent, four, 20).lower(state, 20).compile().as_text()
        assert toy.collectives(program) == {"all-reduce"}

        close = lambda a, b: np.testing.assert_allclose(a.learner["w"], b.learner["w"], atol=1e-6)
        single = runner.train(agent, key, 20, mesh=one)
        for mesh in (two, four):
            spread = runner.train(agent, key, 20, mesh=mesh)
            close(single, spread)
            np.testing.assert_array_equal(
                jax.random.key_data(single.actor.key), jax.random.key_data(spread.actor.key)
            )
            assert spread.actor.x.sharding.num_devices == mesh.size

        go = lambda n, mesh: runner.train_run(directory, agent, n, mesh=mesh, progress=False)
        go(10, four)
        resumed = go(20, four)  # bit for bit on the same devices
        np.testing.assert_array_equal(resumed.learner["w"], spread.learner["w"])
        np.testing.assert_array_equal(resumed.actor.x, spread.actor.x)
        assert resumed.actor.key.sharding.num_devices == 4
        close(go(25, two), runner.train(agent, key, 25, mesh=one))  # and on others
        close(go(30, one), runner.train(agent, key, 30, mesh=four))

        try:
            runner.train_run(f"{directory}-2", agent, 20, mesh=runner.make_mesh(3))
        except ValueError as error:
            assert "a multiple of the 3 devices" in str(error), error
        print("equal")
        """
    assert on_four_devices(script, tmp_path / "run") == "equal\n"
    assert not (tmp_path / "run-2").exists()


def test_sweep_on_four_devices_equals_one(on_four_devices):
    """Runs are shared by configs and by seeds, however many of each; devices send nothing."""
    script = """
        import sys
        import jax, numpy as np
        from jax.sharding import Mesh
        sys.path.insert(0, sys.argv[1])
        import toy
        from rlax_pref import agents
        from rlax_pref.agents import loop, runner

        named = runner.grid(agents.config_from("ppo", {}), learning_rate=[1e-3, 3e-4])
        assert named.lambda_.shape == (2,)
        configs = runner.grid(toy.Config(), rate=[0.1, 0.02], decay=[0.9, 0.5, 0.1])
        keys = jax.random.split(jax.random.key(3), 2)
        go = lambda seeds, *mesh: runner.sweep(toy.make, configs, keys[:seeds], 4, *mesh)
        single, expected = go(2, runner.make_mesh(1))
        spread, metrics = go(2)
        shards = {(x.device.id, x.data.shape) for x in spread.learner["w"].addressable_shards}
        assert shards == {(i, (3, 1, 3, 3)) for i in range(4)}
        np.testing.assert_allclose(spread.learner["w"], single.learner["w"], atol=1e-6)
        np.testing.assert_allclose(metrics["loss"], expected["loss"], atol=1e-6)
        assert go(1)[1]["loss"].sharding.num_devices == 3  # of 6 runs

        mesh = Mesh(np.reshape(jax.devices(), (2, 2)), ("config", "seed"))
        program = loop.compile_sweep(toy.make, 4, mesh).lower(configs, keys).compile().as_text()
        assert "num_partitions=4" in program and toy.collectives(program) == set()
        try:
            go(1, runner.make_mesh(4))
        except ValueError as error:
            print(error)
        """
    assert on_four_devices(script) == "4 devices cannot share 6 runs evenly\n"


def test_mesh_of_too_many_devices():
    for number in (0, 1 + jax.local_device_count()):
        with pytest.raises(ValueError, match=rf"devices={number}: JAX sees \d+ \(cpu\)"):
            runner.make_mesh(number)


def test_state_is_never_copied():
    """A chunk works in the memory of the state it is given, a long replay included."""
    settings = {"capacity": 100_000, "hidden": (4,), "num_envs": 4, "batch_size": 4}
    agent = agents.make("dqn", envs.make("cartpole"), settings | {"num_updates": 1})
    mesh = runner.make_mesh(1)
    state = loop.like(agent, KEY, mesh)
    memory = runner.compile_chunk(agent, mesh, 2).lower(state, 2).compile().memory_analysis()
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    assert size > 2**22
    assert memory.alias_size_in_bytes == size
    assert memory.temp_size_in_bytes < 2**16


def test_two_processes_equal_one(tmp_path):
    """Two hosts of two devices, training in one run directory; stopped, resumed; then one host.
    Sweeps are shared among them, too.
    """
    script = textwrap.dedent(
        """
        import sys
        import jax, numpy as np
        from jax.experimental.multihost_utils import process_allgather
        host, port, where, directory = sys.argv[1:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", 2, int(host))
        sys.path.insert(0, where)
        import toy
        from rlax_pref.agents import hooks, runner

        agent = toy.make()
        evaluation = hooks.Evaluation(
            toy.Countdown(), agent.policy, jax.random.key(5), every=4, num_episodes=2
        )
        options = dict(every=4, save_every=8, hooks=[evaluation], progress=False)
        runner.train_run(directory, agent, 12, **options)
        state = runner.train_run(directory, agent, 20, **options)
        assert state.actor.x.sharding.num_devices == 4
        np.save(f"{directory}/{host}.npy", np.asarray(state.learner["w"]))
        configs, keys = runner.grid(toy.Config()), jax.random.split(jax.random.key(3), 4)
        _, metrics = runner.sweep(toy.make, configs, keys, 4)
        np.save(f"{directory}/sweep-{host}.npy", process_allgather(metrics["loss"], tiled=True))
        """
    )
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
    }
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(host), str(port), str(HERE), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for host in range(2)
    ]
    try:
        for host in hosts:
            _, err = host.communicate(timeout=200)
            assert host.returncode == 0, err
    finally:
        for host in hosts:
            host.kill()
    expected = runner.train(AGENT, KEY, 20).learner["w"]
    configs, keys = runner.grid(toy.Config()), jax.random.split(jax.random.key(3), 4)
    loss = runner.sweep(toy.make, configs, keys, 4)[1]["loss"]
    for host in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{host}.npy"), expected, atol=1e-6)
        np.testing.assert_allclose(np.load(tmp_path / f"sweep-{host}.npy"), loss, atol=1e-6)
    rows = toy.read_log(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20]
    with Checkpoints(tmp_path) as saved:
        assert set(saved.steps) >= {12, 16, 20}
        like = jax.eval_shape(AGENT.init, KEY)
        np.testing.assert_allclose(saved.restore(like)[1].learner["w"], expected, atol=1e-6)
    alone = runner.train_run(tmp_path, AGENT, 25, mesh=runner.make_mesh(1), progress=False)
    expected = runner.train(AGENT, KEY, 25).learner["w"]
    np.testing.assert_allclose(alone.learner["w"], expected, atol=1e-6)

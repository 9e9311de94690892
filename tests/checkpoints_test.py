"""What a checkpoint promises: all or nothing, never a wrong value, and plain words."""

import json
import shutil
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from rlax_pref import checkpoints
from rlax_pref.checkpoints import CheckpointError, Checkpoints
from rlax_pref.types import TrainState


def make_state(seed: int = 0) -> TrainState:
    """One leaf of every kind that has made trouble somewhere."""
    key = jax.random.key(seed)
    params = {"w": jax.random.normal(key, (3, 4)), "half": jnp.full(5, 0.1 * seed, jnp.bfloat16)}
    learner = {"params": params, "optimizer": optax.adam(1e-3).init(params)}
    actor = {
        "obs": jax.random.normal(key, (4, 2)),
        "done": jnp.array([True, False, True, False]),
        "count": jnp.arange(4) + seed,
        "nothing": jnp.zeros((4, 0), jnp.float16),
        "keys": jax.random.split(key, 4),
        "odd": jnp.array([jnp.nan, -0.0, jnp.inf, 1e-45]),
    }
    return TrainState(learner, actor, jax.random.fold_in(key, 1), jnp.int32(seed))


def bits(tree) -> list:
    """The tree as raw bytes, so that equal means equal bit for bit, NaN and -0 included."""

    def raw(x):
        x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        return str(x.dtype), x.shape, np.asarray(x).tobytes()

    return [raw(x) for x in jax.tree.leaves(tree)]


@pytest.fixture
def run(tmp_path) -> Path:
    """A run directory with checkpoints 100, 200 and 300."""
    with Checkpoints(tmp_path / "run", config={"seed": 7}) as saved:
        for step in (100, 200, 300):
            saved.save(step, make_state(step), metric=float(-step))
    return tmp_path / "run"


def newest(run: Path) -> Path:
    return run / "checkpoints" / "000000000300"


def one_line(capsys) -> str:
    """What was said on stderr, which must be one line."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


# Round trip -----------------------------------------------------------------------------------


def test_round_trip_is_bit_for_bit(run, capsys):
    step, state = checkpoints.restore(run, make_state())
    assert step == 300
    assert jax.tree.structure(state) == jax.tree.structure(make_state())
    assert bits(state) == bits(make_state(300))
    assert capsys.readouterr().err == ""


def test_restores_from_shapes_alone(run):
    _, state = checkpoints.restore(run, jax.eval_shape(make_state))
    assert bits(state) == bits(make_state(300))
    assert jax.random.key_impl(state.key) == jax.random.key_impl(jax.random.key(0))


def test_restored_keys_go_on_as_before(run):
    _, state = checkpoints.restore(run, make_state())
    np.testing.assert_array_equal(
        jax.random.normal(state.key, (3,)), jax.random.normal(make_state(300).key, (3,))
    )


def test_other_kinds_of_keys(tmp_path):
    state = {"key": jax.random.key(3, impl="rbg")}
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state)
        assert bits(saved.restore(state)[1]) == bits(state)
        with pytest.raises(CheckpointError, match=r"key is key<rbg> \[\].* and key<fry> \[\] here"):
            saved.restore({"key": jax.random.key(3)})


@pytest.mark.parametrize("state", [{}, {"nothing": jnp.zeros((0, 3))}, jnp.arange(3)])
def test_degenerate_states(tmp_path, state):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state)
        assert bits(saved.restore(state)[1]) == bits(state)


def test_donated_after_saving(tmp_path):
    state = {"x": jnp.arange(1000.0)}
    expected = bits(state)
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state)
        overwritten = jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s), donate_argnums=0)(state)
        jax.block_until_ready(overwritten)
        assert bits(saved.restore(overwritten)[1]) == expected


def test_restored_leaf_can_be_donated(run):
    _, state = checkpoints.restore(run, make_state())
    jax.jit(lambda s: jax.tree.map(lambda x: x, s), donate_argnums=0)(state)
    assert bits(checkpoints.restore(run, make_state())[1]) == bits(make_state(300))


def test_manifest_describes_the_checkpoint(run):
    manifest = json.loads((newest(run) / "manifest.json").read_text())
    assert manifest["step"] == 300
    assert manifest["metric"] == -300.0
    assert manifest["config"] == {"seed": 7}
    assert manifest["versions"]["jax"] == jax.__version__
    entry = manifest["leaves"]["learner.params.w"]
    assert entry["shape"] == [3, 4]
    assert entry["dtype"] == "float32"
    assert entry["crc32"] == zlib.crc32(np.asarray(make_state(300).learner["params"]["w"]))
    assert manifest["leaves"]["actor.keys"]["dtype"] == "key<fry>"
    assert manifest["leaves"]["actor.nothing"]["shape"] == [4, 0]


# Damage ---------------------------------------------------------------------------------------


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def test_no_flipped_bit_is_loaded(run, capsys):
    """In every file: 20 flips, each either found or without any effect."""
    rng = np.random.default_rng(0)
    good, older, found = bits(make_state(300)), bits(make_state(200)), 0
    for file in files_of(newest(run)):
        before = file.read_bytes()
        for _ in range(20 if before else 0):
            position, bit = rng.integers(len(before)), rng.integers(8)
            damaged = bytearray(before)
            damaged[position] ^= 1 << bit
            file.write_bytes(damaged)
            step, state = checkpoints.restore(run, make_state())
            if step == 200:
                found += 1
                line = one_line(capsys)
                assert file.name in line
                assert "using checkpoint 200" in line
                assert bits(state) == older
            else:  # only spacing in the manifest means nothing
                assert file.name == "manifest.json"
                assert bits(state) == good
        file.write_bytes(before)
    assert found > 100
    assert checkpoints.restore(run, make_state())[0] == 300


@pytest.mark.parametrize("harm", ["empty", "half", "delete", "directory", "longer"])
def test_no_mangled_file_is_loaded(run, capsys, harm):
    for file in files_of(newest(run)):
        before = file.read_bytes()
        if harm == "empty" or harm == "half":
            if not before:
                continue
            file.write_bytes(before[: 0 if harm == "empty" else len(before) // 2])
        elif harm == "longer":
            file.write_bytes(before + b"\0")
        else:
            file.unlink()
            if harm == "directory":
                file.mkdir()
        step, state = checkpoints.restore(run, make_state())
        assert step == 200
        assert bits(state) == bits(make_state(200))
        assert file.name in one_line(capsys)
        if file.is_dir():
            file.rmdir()
        file.write_bytes(before)
    assert checkpoints.restore(run, make_state())[0] == 300


def test_leaf_checksums_do_not_rely_on_file_checksums(run, capsys):
    """Sound files that hold another value, as of a faulty writer, are found by the leaf."""
    path = newest(run)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["leaves"]["learner.params.w"]["crc32"] ^= 1
    manifest["sha256"] = checkpoints._seal(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert checkpoints.restore(run, make_state())[0] == 200
    assert "the checksum of learner.params.w differs" in one_line(capsys)


def test_checkpoint_under_another_name_is_not_loaded(run, capsys):
    shutil.copytree(newest(run), newest(run).with_name("000000000400"))
    assert checkpoints.restore(run, make_state())[0] == 300
    assert "it is of step 300" in one_line(capsys)


def test_emptied_directory(run, capsys):
    shutil.rmtree(newest(run))
    newest(run).mkdir()
    assert checkpoints.restore(run, make_state())[0] == 200
    assert "manifest.json: No such file" in one_line(capsys)


def test_falls_back_twice_in_one_line(run, capsys):
    for step in (200, 300):
        (newest(run).with_name(f"{step:012d}") / "manifest.json").write_text("{")
    assert checkpoints.restore(run, make_state())[0] == 100
    line = one_line(capsys)
    assert "300 is damaged" in line
    assert "200 is damaged" in line


def test_nothing_sound_is_one_error(run):
    for path in (run / "checkpoints").iterdir():
        (path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"no sound checkpoint in .*300 is damaged") as error:
        checkpoints.restore(run, make_state())
    assert "\n" not in str(error.value)


def test_nothing_saved(tmp_path):
    with pytest.raises(CheckpointError, match="nothing is saved yet in"):
        checkpoints.restore(tmp_path, make_state())


def test_damaged_ones_give_way_to_the_next_sound_one(run, capsys):
    """Going on from 200 while 300 is damaged: 250 may be saved, and nothing is said twice."""
    (newest(run) / "manifest.json").unlink()
    with Checkpoints(run) as saved:
        assert saved.restore(make_state())[0] == 200
        saved.save(250, make_state(250))
        assert saved.steps == [100, 200, 250]
    one_line(capsys)
    assert checkpoints.restore(run, make_state())[0] == 250
    assert capsys.readouterr().err == ""


def test_damaged_one_is_replaced_at_its_own_step(run):
    (newest(run) / "manifest.json").unlink()
    with Checkpoints(run) as saved:
        saved.restore(make_state())
        saved.save(300, make_state(300))
        with pytest.raises(ValueError, match="checkpoint 300 would not come after 300"):
            saved.save(300, make_state(300))
    assert checkpoints.restore(run, make_state())[0] == 300


# Fit ------------------------------------------------------------------------------------------


def with_leaf(value) -> TrainState:
    state = make_state()
    params = state.learner["params"] | {"w": value}
    return state._replace(learner=state.learner | {"params": params})


@pytest.mark.parametrize(
    ("like", "words"),
    [
        (
            with_leaf(jnp.zeros((4, 3))),
            r"learner\.params\.w is float32 \[3, 4\] in the checkpoint and float32 \[4, 3\] here",
        ),
        (
            with_leaf(jnp.zeros((3, 4), jnp.bfloat16)),
            r"learner\.params\.w is float32 \[3, 4\] in .* and bfloat16 \[3, 4\] here",
        ),
        (
            with_leaf({"extra": jnp.zeros(1)}),
            r"learner\.params\.w is in the checkpoint only .*1 more",
        ),
        (
            make_state()._replace(step={"of": jnp.int32(0), "in": jnp.int32(0)}),
            r"step is in the checkpoint only .*2 more",
        ),
        (
            make_state()._replace(key=jnp.zeros(2, jnp.uint32)),
            r"key is key<fry> \[\] in the checkpoint and uint32 \[2\] here",
        ),
    ],
)
def test_another_state_is_refused_by_the_leafs_name(run, like, words, capsys):
    with pytest.raises(CheckpointError, match=words):
        checkpoints.restore(run, like)
    assert capsys.readouterr().err == ""  # a misfit is no damage: nothing is fallen back to


def test_only_arrays_can_be_saved(tmp_path):
    with Checkpoints(tmp_path) as saved, pytest.raises(ValueError, match="rate must be an array"):
        saved.save(1, {"rate": 0.1})


def test_a_newer_format_says_so(run):
    path = newest(run) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    manifest["format"] = 99
    manifest["sha256"] = checkpoints._seal(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="has format 99, and this version reads 1"):
        checkpoints.restore(run, make_state())


# What stays -----------------------------------------------------------------------------------


def test_the_last_three_and_the_best_stay(tmp_path):
    scores = {1: 0.5, 2: 9.0, 3: None, 4: 2.0, 5: float("nan"), 6: 1.0, 7: None}
    with Checkpoints(tmp_path) as saved:
        for step, metric in scores.items():
            saved.save(step, {"x": jnp.float32(step)}, metric=metric)
        assert saved.steps == [2, 5, 6, 7]
    step, state = checkpoints.restore(tmp_path, {"x": jnp.float32(0)}, which="best")
    assert (step, float(state["x"])) == (2, 2.0)


def test_the_best_is_remembered_across_processes(tmp_path):
    for step in range(1, 7):  # each opened anew
        with Checkpoints(tmp_path, keep=1) as saved:
            saved.save(step, {"x": jnp.float32(step)}, metric=-abs(step - 3))
    assert saved.steps == [3, 6]


def test_best_without_metrics(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, {"x": jnp.float32(1)})
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* was saved with a metric"):
        checkpoints.restore(tmp_path, {"x": jnp.float32(0)}, which="best")


def test_a_certain_checkpoint(tmp_path):
    with Checkpoints(tmp_path) as saved:
        for step in (3, 5, 8):
            saved.save(step, {"x": jnp.float32(step)})
    step, state = checkpoints.restore(tmp_path, {"x": jnp.float32(0)}, which=5)
    assert (step, float(state["x"])) == (5, 5.0)
    with pytest.raises(CheckpointError, match=r"no checkpoint 4 in .*: there are 3, 5, 8"):
        checkpoints.restore(tmp_path, {"x": jnp.float32(0)}, which=4)


def test_damaged_best_falls_back_to_the_second_best(run, capsys):
    first = newest(run).with_name("000000000100")
    shutil.rmtree(first / "arrays")
    assert checkpoints.restore(run, make_state(), which="best")[0] == 200
    assert "checkpoint 100 is damaged (arrays" in one_line(capsys)


def test_steps_only_go_up(run):
    with Checkpoints(run) as saved:
        with pytest.raises(ValueError, match="checkpoint 300 would not come after 300"):
            saved.save(300, make_state())
        with pytest.raises(ValueError, match="checkpoint 10 would not come after 300"):
            saved.save(10, make_state())


def test_leftovers_are_cleaned(run):
    (run / "checkpoints" / ".tmp-400" / "arrays.orbax-checkpoint-tmp").mkdir(parents=True)
    with Checkpoints(run) as saved:
        assert saved.steps == [100, 200, 300]
    assert sorted(p.name for p in (run / "checkpoints").glob(".*")) == []


# Devices --------------------------------------------------------------------------------------


def test_leaves_go_where_they_are_asked_to(run):
    device = jax.devices()[-1]
    mesh = jax.make_mesh((1,), ("env",), (jax.sharding.AxisType.Auto,), devices=[device])
    sharding = NamedSharding(mesh, PartitionSpec("env"))
    like = jax.eval_shape(make_state)
    like = like._replace(
        actor=jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like.actor
        )
    )
    _, state = checkpoints.restore(run, like)
    assert all(x.sharding.is_equivalent_to(sharding, x.ndim) for x in jax.tree.leaves(state.actor))
    assert bits(state) == bits(make_state(300))

"""The benchmark of training: programs take turns in processes of their own."""

import json
import os
import sys

import pytest

from benchmarks import record
from benchmarks.speed import programs, table, training
from rlax_pref import agents

FAKE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import turns

def make():
    time.sleep(0.05)
    def train(turn):
        time.sleep(0.01 * float(sys.argv[2]))
        return turn
    return train, lambda results: [10.0 * x for x in results], *map(float, sys.argv[3:])

print("something that a library says")
turns.take(make)
"""


def fake(slowness=1, *trained):
    return [sys.executable, "-c", FAKE, str(programs.PEERS), str(slowness), *map(str, trained)]


def test_a_peer_takes_turns():
    peer = programs.Peer(fake())
    assert peer.compile_seconds >= 0.05
    for _ in range(3):
        peer.turn()
    assert len(peer.seconds) == 3 and min(peer.seconds) >= 0.01
    assert peer.peak_megabytes > 1
    assert peer.end() == [0.0, 10.0, 20.0]
    assert peer.process.returncode == 0


def test_what_it_trained_to_get_ready_is_no_compiling():
    peer = programs.Peer(fake(1, 1000.0))
    assert peer.compile_seconds < -900
    peer.kill()


def test_a_peer_that_dies_says_why():
    with pytest.raises(RuntimeError, match="no such thing"):
        programs.Peer([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_first_update_includes_the_start_of_the_process(tmp_path):
    assert programs.first_update(fake(), str(tmp_path)) >= 0.06


def test_programs_need_what_they_need():
    assert programs.command("rejax", {}, programs.Places()) is None
    assert programs.command("PureJaxRL", {}, programs.Places("/bin/python")) is None
    python, _, asked = programs.command("PureJaxRL", {"env": 1}, programs.Places("p", "dir"))
    assert python == "p"
    assert json.loads(asked) == {"env": 1, "checkout": "dir", "devices": 1, "threads": None}
    assert programs.command("Stoix", {}, programs.Places("p", "dir")) is None
    *_, asked = programs.command("Stoix", {}, programs.Places("p", "dir", "other"))
    assert json.loads(asked)["checkout"] == "other"
    assert programs.command("brax", {}, programs.Places())[0] == sys.executable
    for program in programs.PROGRAMS.values():
        assert (programs.PEERS / program.file).is_file()


@pytest.mark.parametrize("name", training.ROWS)
def test_rows_ask_for_what_there_is(name):
    row = training.ROWS[name]
    config = agents.config_from(row.agent, row.settings)
    assert row.env_steps > getattr(config, "warm_up", 0) + config.env_steps
    assert set(row.peers) <= set(programs.PROGRAMS)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--peers", "not a Python interpreter"),
        ("--purejaxrl", "no purejaxrl/ppo.py: it must be a checkout"),
        ("--stoix", "no stoix/systems/ppo/anakin/ff_ppo.py: it must be a checkout"),
    ],
)
def test_a_place_where_nothing_is_is_refused(option, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        training.main(["--out", str(tmp_path / "out"), option, str(tmp_path)])
    assert message in capsys.readouterr().err


SLOWNESS = {"rlax_pref": 2, "rlax_pref, one thread": 2, "floor": 1, "rejax": 4}


@pytest.fixture
def lines(monkeypatch, tmp_path):
    """Lines of one row with programs that only sleep; one dies, and one is not there."""

    def command(who, asked, places):
        if who == "Stoix":
            return None
        if who == "PureJaxRL":
            return [sys.executable, "-c", "raise SystemExit('it is ill')"]
        return fake(SLOWNESS[who])

    monkeypatch.setattr(training, "command", command)
    return training.run(
        ["PPO, CartPole, 4 environments"], programs.Places(), 2, tmp_path / "lines.jsonl"
    )


def test_programs_are_compared(lines, tmp_path, capsys):
    assert [line["program"] for line in lines] == list(SLOWNESS)
    faster = {line["program"]: line["rlax_pref_is_faster_by"] for line in lines}
    assert faster["rlax_pref"] == 1.0
    assert faster["floor"] < 0.95 and faster["rejax"] > 1.2
    assert lines[0]["env_steps"] == 499_712 and lines[0]["return"] == 10.0
    assert lines[0]["return_standard_error"] == 5.8  # 10 / sqrt(3)
    assert lines[0]["first_update_seconds"] > 0.05 and lines[2]["first_update_seconds"] is None
    assert (tmp_path / "lines.jsonl").read_text() == "".join(json.dumps(x) + "\n" for x in lines)
    training.draw(tmp_path / "picture.png", lines)
    assert (tmp_path / "picture.png").stat().st_size > 1000


LINES = [
    {
        "row": "a task",
        "program": program,
        "env_steps_per_second": speed,
        "rlax_pref_is_faster_by": 1000 / speed,
        "compile_seconds": 1.5,
        "first_update_seconds": first,
        "first_update_seconds_cached": None,
        "peak_megabytes": 1024,
        "return": earned,
    }
    for program, speed, first, earned in [
        ("rlax_pref", 1000, 4.0, 500.0),
        ("floor", 1250, None, None),
        ("rejax", 400, 6.0, 490.0),
        ("PureJaxRL", 500, 5.0, 1234.5),
    ]
]


def test_the_short_table_says_how_much_faster():
    *_, row = table.short(LINES).splitlines()
    assert row == "| a task | 1,000 | 80 % | 2.50 | 2.00 | 4.0 s |  | 5.0 s |"
    *_, row = table.short(LINES[:1]).splitlines()
    assert row == "| a task | 1,000 |  | 4.0 s |  |  |"


def test_the_full_table_has_every_program():
    head, _, first, second, *_, last = table.full(LINES).splitlines()
    assert first == "| a task | rlax_pref | 1,000 | 1.00 | 1.5 s | 4.0 s |  | 1,024 MB | 500.0 |"
    assert second == "|  | floor | 1,250 | 1.25 | 1.5 s |  |  | 1,024 MB |  |"
    assert last.count("|") == head.count("|") and "1,234.5" in last
    several = table.full([LINES[0] | {"return_standard_error": 2.0}])
    assert several.endswith("| 500.0 ± 2.0 |\n")


def test_pages_are_written_and_checked(tmp_path, monkeypatch, capsys):
    results = tmp_path / "lines.jsonl"
    record.write_lines(results, LINES)
    (tmp_path / "docs").mkdir()
    for page in table.PAGES:
        (tmp_path / page).write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["table", "--check"])
    assert table.main(tmp_path, results) == 1
    assert "README.md is not what lines.jsonl says" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["table"])
    assert table.main(tmp_path, results) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert table.short(LINES) in text
    monkeypatch.setattr(sys, "argv", ["table", "--check"])
    assert table.main(tmp_path, results) == 0
    with pytest.raises(ValueError, match=r"README\.md has no lines"):
        table.insert("README.md", "no markers", LINES)


def test_pages_of_this_project_are_what_the_results_say(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["table", "--check"])
    assert table.main() == 0


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="minutes; set RLAX_PREF_SLOW=1")
@pytest.mark.parametrize("agent", ["ppo", "dqn", "sac"])
def test_it_writes_a_line_for_every_program(agent, tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    name = next(name for name, row in training.ROWS.items() if row.agent == agent)
    row = training.ROWS[name]._replace(env_steps=2560, num_seeds=2)
    monkeypatch.setitem(training.ROWS, name, row)
    out = tmp_path / "lines.jsonl"
    training.main(["--rows", name, "--rounds", "2", "--out", str(out)])
    ours, floor = (json.loads(line) for line in out.read_text().splitlines())
    assert (ours["program"], floor["program"]) == ("rlax_pref", "floor")
    assert ours["env_steps_per_second"] > 0 and ours["rlax_pref_is_faster_by"] == 1.0
    assert floor["return"] is None and (8 < ours["return"] < 500 or agent == "sac")

"""Writes what was measured of training into README.md and docs/results.md.

    python -m benchmarks.speed.table

The tables come from benchmarks/results/training_speed.jsonl and stand between two markers. With
`--check` nothing is written, and it fails if a page is not what the results say.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "training_speed.jsonl"
BEGIN = "<!-- written by `python -m benchmarks.speed.table` from here on -->"
END = "<!-- to here -->"
OURS, FLOOR = "rlax_pref", "floor"
SPREAD, ALONE = "rlax_pref, a device a core", "rlax_pref, one thread"
Line = Mapping[str, Any]


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _earned(line: Line) -> str:
    """The mean return, and its standard error where it is of several seeds."""
    if line["return"] is None:
        return ""
    error = line.get("return_standard_error")
    return f"{line['return']:,.1f}" + ("" if error is None else f" ± {error:,.1f}")


def _groups(lines: Iterable[Line]) -> dict[str, dict[str, Line]]:
    """The lines by row and program."""
    groups: dict[str, dict[str, Line]] = {}
    for line in lines:
        groups.setdefault(line["row"], {})[line["program"]] = line
    return groups


def full(lines: Iterable[Line]) -> str:
    """A row for every program: all that was measured."""
    head = (
        "",
        "program",
        "steps a second",
        "of rlax_pref's",
        "compiles in",
        "first update, cold",
        "cached",
        "memory",
        "return",
    )
    rows = []
    for name, group in _groups(lines).items():
        for i, (who, line) in enumerate(group.items()):
            rows.append(
                (
                    "" if i else name,
                    who,
                    f"{line['env_steps_per_second']:,}",
                    f"{1 / line['rlax_pref_is_faster_by']:.2f}",
                    _seconds(line["compile_seconds"]),
                    _seconds(line.get("first_update_seconds")),
                    _seconds(line.get("first_update_seconds_cached")),
                    f"{line['peak_megabytes']:,} MB",
                    _earned(line),
                )
            )
    return _markdown(head, rows)


def short(lines: Iterable[Line]) -> str:
    """A row for every task: how much faster than whom."""
    groups = _groups(lines)
    peers = dict.fromkeys(who for group in groups.values() for who in group)
    others = [who for who in peers if who not in (OURS, SPREAD, ALONE, FLOOR)]
    head = (
        "",
        "steps a second",
        "of the floor",
        *(f"times {who}'s" for who in others),
        "first update",
        "cached",
        "fastest peer's",
    )
    rows = []
    for name, group in groups.items():
        starts = [group[who].get("first_update_seconds") for who in others if who in group]
        for own in (who for who in (OURS, SPREAD, ALONE) if who in group):
            ours = group[own]
            scale = ours["rlax_pref_is_faster_by"]
            faster = {who: line["rlax_pref_is_faster_by"] / scale for who, line in group.items()}
            rows.append(
                (
                    name + own.removeprefix(OURS),
                    f"{ours['env_steps_per_second']:,}",
                    f"{100 * faster[FLOOR]:.0f} %" if FLOOR in faster else "",
                    *(f"{faster[who]:.2f}" if who in faster else "" for who in others),
                    _seconds(ours.get("first_update_seconds")),
                    _seconds(ours.get("first_update_seconds_cached")),
                    _seconds(min((s for s in starts if s is not None), default=None)),
                )
            )
    return _markdown(head, rows)


PAGES: dict[str, Callable[[Iterable[Line]], str]] = {"README.md": short, "docs/results.md": full}


def insert(page: str, text: str, lines: Iterable[Line]) -> str:
    """The text of a page with its table as it should be.

    Raises:
      ValueError: the markers are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines `{BEGIN}` and `{END}`")
    return f"{before}{BEGIN}\n\n{PAGES[page](lines)}\n{END}{after}"


def main(root: pathlib.Path = ROOT, results: pathlib.Path = RESULTS) -> int:
    """Writes the pages, or checks them."""
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    for page in PAGES:
        path = root / page
        text = path.read_text()
        fresh = insert(page, text, lines)
        if "--check" not in sys.argv[1:]:
            path.write_text(fresh)
        elif text != fresh:
            print(f"{page} is not what {results.name} says: run `make docs`", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

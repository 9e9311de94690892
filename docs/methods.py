"""Writes docs/methods.md, the table of all methods, from the source: `python -m docs.methods`.

With `--check` it writes nothing and fails if the page is not what the source says.
"""

import pathlib
import re
import sys

from rlax_pref import index

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "methods.md"
HEAD = """\
# Methods

Every method, the paper it is from, its file, and where it is tested, used by an agent and measured.
This page is written from the docstrings by `make docs`.
"""


def _link(path: pathlib.Path) -> str:
    return f"[{path.stem}](../{path.relative_to(ROOT).as_posix()})"


def _users(folder: str, call: str) -> str:
    """Links to the files below a folder that call the method."""
    pattern = re.compile(rf"\b{re.escape(call)}\b")
    paths = sorted((ROOT / folder).rglob("*.py"))
    return " ".join(_link(path) for path in paths if pattern.search(path.read_text()))


def _tests(method: index.Method) -> str:
    """Links to the tests below the family's folder that name the method."""
    family, name = method.call.split(".")
    pattern = re.compile(rf"\b{re.escape(name)}\b")
    paths = sorted((ROOT / "tests" / family).glob("*_test.py"))
    return " ".join(_link(path) for path in paths if pattern.search(path.read_text()))


def page() -> str:
    """The page as it should be."""
    lines = [HEAD]
    family = ""
    for method in index.methods():
        if method.call.split(".")[0] != family:
            family = method.call.split(".")[0]
            lines += [
                f"\n## {family}\n",
                "| method | what it is | paper | file | tests | agents | benchmarks |",
                "|---|---|---|---|---|---|---|",
            ]
        cells = (
            f"`{method.call}`",
            method.title,
            method.paper,
            f"[{pathlib.Path(method.file).name}](../rlax_pref/{method.file})",
            _tests(method),
            _users("agents", method.call),
            _users("benchmarks", method.call),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page, or checks it."""
    fresh = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text() == fresh:
            return 0
        print("docs/methods.md is not what the source says: run `make docs`", file=sys.stderr)
        return 1
    PAGE.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())

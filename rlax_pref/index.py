"""The public index: every method, its paper and its file, read from the source without running it.

The command line lists methods with it, and `docs/methods.md` is written from it.
"""

import ast
import pathlib
import re
from typing import NamedTuple

FAMILIES = (
    "advantages",
    "values",
    "policies",
    "preferences",
    "rewards",
    "models",
    "metrics",
    "datasets",
)
_PAPER = re.compile(r"\s*\(([^()]*\d{4}[^()]*)\)")


class Method(NamedTuple):
    """One public name of a family."""

    call: str  # as it is written: "advantages.gae"
    title: str  # what it is, in a line
    paper: str  # where it is from, or ""
    file: str  # relative to the package: "advantages/_gae.py"


def _first_line(node: ast.AST) -> str:
    docstring = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
    return docstring.splitlines()[0] if docstring else ""


_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.ClassDef)


def _describe(line: str) -> tuple[str, str]:
    """Splits a first docstring line into what it says and the papers it cites."""
    papers = "; ".join(_PAPER.findall(line))
    return _PAPER.sub("", line).rstrip(". "), papers


def _public(package: pathlib.Path) -> dict[str, pathlib.Path]:
    """Maps each name that the package's `__init__` imports to the file it is from."""
    tree = ast.parse((package / "__init__.py").read_text())
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                own = node.module.split(".")[-1] == package.name
                module = alias.name if own else node.module
                found[alias.name] = package / f"{module.split('.')[-1]}.py"
    return {name: path for name, path in found.items() if path.exists()}


def methods() -> list[Method]:
    """Lists every function and module of every family, in the order of the contents pages.

    A method cites its paper in the first line of its own docstring or of its module's. Types
    that methods merely return are left out.
    """
    root = pathlib.Path(__file__).parent
    found = []
    for family in FAMILIES:
        for name, path in _public(root / family).items():
            tree = ast.parse(path.read_text())
            module_title, module_paper = _describe(_first_line(tree))
            node = next(
                (n for n in tree.body if isinstance(n, _DOCUMENTED) and n.name == name), None
            )
            if isinstance(node, ast.ClassDef):
                continue
            title, paper = _describe(_first_line(node)) if node else ("", "")
            file = path.relative_to(root).as_posix()
            found.append(
                Method(f"{family}.{name}", title or module_title, paper or module_paper, file)
            )
    return found

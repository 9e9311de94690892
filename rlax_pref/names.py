"""Looking things up by name, with an answer that helps when the name is wrong."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Returns `table[name]`, or says which name was probably meant.

    Args:
      table: the known names and what they stand for.
      name: the name asked for.
      what: what is named, in the singular, e.g. `"environment"`.

    Raises:
      ValueError: the name is unknown; the message suggests the closest one and lists all.
    """
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"Unknown {what} '{name}'.{guess} Known: {', '.join(sorted(table))}.")

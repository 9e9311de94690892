"""What is in a data set, said before anything is learned from it."""

import dataclasses

import numpy as np

from rlax_pref.types import Preferences


@dataclasses.dataclass(frozen=True)
class Report:
    """Counts that explain later surprises. `str(report)` is meant to be read."""

    name: str
    num: int  # pairs
    first: int  # the first segment is preferred
    tie: int
    second: int  # the second segment is preferred
    duplicates: int  # pairs whose two segments came before, in this order
    same_start: int  # pairs whose segments begin in one state
    absorbing: int  # pairs with a step out of a terminal state, which is not live

    def __str__(self) -> str:
        share = lambda count: f"{count} ({100 * count / self.num:.1f} %)"
        return (
            f"{self.name}: {self.num} pairs; "
            f"first preferred {share(self.first)}, second {share(self.second)}, "
            f"ties {share(self.tie)}; duplicates {share(self.duplicates)}; "
            f"same start {share(self.same_start)}; past a terminal state {share(self.absorbing)}"
        )


def report(name: str, pairs: Preferences) -> Report:
    """Counts labels, ties, duplicates and kinds of pairs; states are int indices."""
    state, action, live = map(np.asarray, pairs.segments)
    p_first = np.asarray(pairs.p_first)
    num = len(p_first)
    rows = np.concatenate([state.reshape(num, -1), action.reshape(num, -1)], axis=1)
    return Report(
        name=name,
        num=num,
        first=int((p_first > 0.5).sum()),
        tie=int((p_first == 0.5).sum()),
        second=int((p_first < 0.5).sum()),
        duplicates=num - len(np.unique(rows, axis=0)),
        same_start=int((state[:, 0, 0] == state[:, 1, 0]).sum()),
        absorbing=int((~live).any(axis=(1, 2)).sum()),
    )

"""What is in a data set, said before anything is learned from it."""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from rlax_pref.datasets._text import TextLabels, TextPreferences
from rlax_pref.types import Preferences

T = TypeVar("T")


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
    skipped: tuple[str, ...] = ()  # why rows were left out, one message each

    def __str__(self) -> str:
        part = lambda count: share(count, self.num)
        return (
            f"{self.name}: {self.num} pairs; "
            f"first preferred {part(self.first)}, second {part(self.second)}, "
            f"ties {part(self.tie)}; duplicates {part(self.duplicates)}; "
            f"same start {part(self.same_start)}; past a terminal state {part(self.absorbing)}"
            f"{left_out(self.skipped)}"
        )


@dataclasses.dataclass(frozen=True)
class TextReport:
    """Counts of what people said of texts. `str(report)` is meant to be read."""

    name: str
    num: int  # rows
    desirable: int | None  # single answers that were liked; None for pairs of answers
    longer: int | None  # pairs whose chosen answer is the longer one; None for single answers
    duplicates: int  # rows that came before, word for word
    contradictions: int  # rows whose opposite came before: answers exchanged, or the other label
    empty: int  # rows with an answer that says nothing
    prompt_length: tuple[int, int, int]  # characters: fewest, median, most
    answer_length: tuple[int, int, int]
    skipped: tuple[str, ...] = ()  # why rows were left out, one message each

    def __str__(self) -> str:
        part = lambda count: share(count, self.num)
        what, said = (
            ("single answers", f"desirable {part(self.desirable)}")
            if self.desirable is not None
            else ("pairs of answers", f"the longer one chosen {part(self.longer)}")
        )
        span = lambda lengths: "{} / {} / {}".format(*lengths)
        return (
            f"{self.name}: {self.num} {what}; {said}; duplicates {part(self.duplicates)}; "
            f"contradictions {part(self.contradictions)}; empty answers {part(self.empty)}; "
            f"characters (fewest / median / most) of prompts {span(self.prompt_length)}, "
            f"of answers {span(self.answer_length)}{left_out(self.skipped)}"
        )


class Loaded(NamedTuple, Generic[T]):
    """What a reader returns: the data, and what was found and left out."""

    data: T
    report: Any  # Report, TextReport or TransitionReport


def share(count: int | None, num: int) -> str:
    return f"{count} ({100 * (count or 0) / max(num, 1):.1f} %)"


def left_out(skipped: Sequence[str], shown: int = 3) -> str:
    """Says how many rows were left out, and of the first few why."""
    if not skipped:
        return ""
    more = [f"... and {len(skipped) - shown} more"] if len(skipped) > shown else []
    return "\n  ".join([f"; left out {len(skipped)}:", *skipped[:shown], *more])


def report(name: str, pairs: Preferences, skipped: tuple[str, ...] = ()) -> Report:
    """Counts labels, ties, duplicates and kinds of pairs."""
    state, action, live = map(np.asarray, pairs.segments)
    p_first = np.asarray(pairs.p_first)
    num = len(p_first)
    same = state[:, 0, 0] == state[:, 1, 0]
    seen = {(s.tobytes(), a.tobytes()) for s, a in zip(state, action, strict=True)}
    return Report(
        name=name,
        num=num,
        first=int((p_first > 0.5).sum()),
        tie=int((p_first == 0.5).sum()),
        second=int((p_first < 0.5).sum()),
        duplicates=num - len(seen),
        same_start=int(same.all(axis=tuple(range(1, same.ndim))).sum()),
        absorbing=int((~live).any(axis=(1, 2)).sum()),
        skipped=skipped,
    )


def text_report(
    name: str, texts: TextPreferences | TextLabels, skipped: tuple[str, ...] = ()
) -> TextReport:
    """Counts labels, duplicates, contradictions and lengths of texts."""
    num = len(texts.prompt)
    rows: list[Hashable] = list(zip(*texts, strict=True))
    answers: list[tuple[str, ...]]
    opposites: list[Hashable]
    desirable, longer = None, None
    if isinstance(texts, TextLabels):
        answers = list(zip(texts.completion, strict=True))
        liked = texts.desirable
        disliked = [not like for like in liked]
        opposites = list(zip(texts.prompt, texts.completion, disliked, strict=True))
        desirable = sum(liked)
    else:
        answers = list(zip(texts.chosen, texts.rejected, strict=True))
        opposites = list(zip(texts.prompt, texts.rejected, texts.chosen, strict=True))
        longer = sum(len(chosen) > len(rejected) for chosen, rejected in answers)
    before: set[Hashable] = set()
    contradictions = 0
    for row, opposite in zip(rows, opposites, strict=True):
        contradictions += opposite in before
        before.add(row)
    return TextReport(
        name=name,
        num=num,
        desirable=desirable,
        longer=longer,
        duplicates=num - len(before),
        contradictions=contradictions,
        empty=sum(not all(answer.strip() for answer in row) for row in answers),
        prompt_length=_span(texts.prompt),
        answer_length=_span([answer for row in answers for answer in row]),
        skipped=skipped,
    )


def _span(texts: Sequence[str]) -> tuple[int, int, int]:
    lengths = [len(text) for text in texts]
    return min(lengths), int(np.median(lengths)), max(lengths)

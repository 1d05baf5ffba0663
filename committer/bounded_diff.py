"""Differences of sequences at a bounded cost: what is compared may have been made to be expensive.

difflib's time can grow with the cube of the length, so a length alone is no bound that also lets usual files through.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import accumulate
from typing import TYPE_CHECKING

from dotscience.errors import TooDifferent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEPS = 20_000_000
"""What one comparison may cost: a few seconds."""


class Budget:
    """The steps that are left for a comparison, of all its parts together."""

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` from it, before they are done.

        Raises:
            TooDifferent: so many are not left.
        """
        self._left -= steps
        if self._left < 0:
            raise TooDifferent("there is too much to compare to show how")


class BoundedMatcher(SequenceMatcher[str]):
    """difflib's matcher, which asks a budget before each search."""

    def __init__(self, before: Sequence[str], after: Sequence[str], budget: Budget, *, autojunk: bool = True) -> None:
        budget.spend(len(before) + len(after))
        super().__init__(None, before, after, autojunk=autojunk)
        self._budget = budget
        places: dict[str, list[int]] = self.b2j  # type: ignore[attr-defined]
        self._costs = list(accumulate((1 + len(places.get(item, ())) for item in before), initial=0))

    def find_longest_match(self, *where: int) -> tuple[int, int, int]:  # type: ignore[override]
        """As difflib's, in whose search each item is compared with all its equals of the other side."""
        start, stop = where[:2]
        self._budget.spend(self._costs[stop] - self._costs[start])
        return super().find_longest_match(*where)

    def is_alike(self, ratio: float) -> bool:
        """Whether so much is the same on both sides; what costs least is asked first."""
        return self.real_quick_ratio() >= ratio and self.quick_ratio() >= ratio and self.ratio() >= ratio


def unified_diff(before: Sequence[str], after: Sequence[str], budget: Budget, *, context: int = 3) -> list[str]:
    """The lines of a unified diff without its headers, as difflib makes them.

    Raises:
        TooDifferent: the budget does not suffice.
    """
    hunks = BoundedMatcher(before, after, budget).get_grouped_opcodes(context)
    return [line for hunk in hunks for line in _hunk(hunk, before, after)]


def _hunk(opcodes: list[tuple[str, int, int, int, int]], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    first, last = opcodes[0], opcodes[-1]
    yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
    for tag, start, stop, other_start, other_stop in opcodes:
        if tag == "equal":
            yield from (f" {line}" for line in before[start:stop])
            continue
        yield from (f"-{line}" for line in before[start:stop])
        yield from (f"+{line}" for line in after[other_start:other_stop])


def _range(start: int, stop: int) -> str:
    """A range of lines as `diff -u` writes it: from 1, of an empty one the line before it."""
    length = stop - start
    return f"{start + 1}" if length == 1 else f"{start + 1 if length else start},{length}"

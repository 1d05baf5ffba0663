"""How commands write sizes, times, ids and names for people. JSON has the plain values."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SHORT_ID = 12
LARGEST_WHOLE = 1e15
FILE_MARKS = {
    "missing": "missing",
    "outside": "outside the folder",
    "changed_after_read": "changed after it was read",
    "overwritten": "overwritten by a later run",
    "observed": "observed",
}


def size(count: int) -> str:
    """Bytes, in the unit that fits."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 file", "2,000 files"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def moment(when: datetime) -> str:
    """A time in the reader's own zone, to the second."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """A span of time, in the two units that matter."""
    if seconds < 60:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def short(commit: str) -> str:
    """As much of a commit's id as people need."""
    return commit[:SHORT_ID]


def name(path: bytes) -> str:
    """A path that can be shown: names may hold anything, also codes that would drive the terminal."""
    return printable(path.decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """Text from a file that anybody may have written, in one line and without control codes."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def value(given: Any) -> str:
    """A parameter, label or summary value in at most six significant digits; integers whole, texts as they are."""
    if isinstance(given, str):
        return given
    if isinstance(given, float):
        return f"{given:.0f}" if given.is_integer() and abs(given) < LARGEST_WHOLE else f"{given:.6g}"
    return "None" if given is None else json.dumps(given)


def marks(file: Mapping[str, Any]) -> list[str]:
    """What is to be known of a run's file (`FileRef` as JSON) beside its path."""
    return [word for field, word in FILE_MARKS.items() if file.get(field)]


def exact(path: bytes) -> str:
    """A path for JSON: bytes that are not UTF-8 become lone surrogates (PEP 383), so that nothing is lost."""
    return os.fsdecode(path)

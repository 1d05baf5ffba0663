"""How commands write sizes, times, ids and names for people. JSON has the plain values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

SHORT_ID = 12


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


def short(commit: str) -> str:
    """As much of a commit's id as people need."""
    return commit[:SHORT_ID]


def name(path: bytes) -> str:
    """A path that can be shown: names may hold anything, also codes that would drive the terminal."""
    return printable(path.decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """Text from a file that anybody may have written, in one line and without control codes."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def exact(path: bytes) -> str:
    """A path for JSON: bytes that are not UTF-8 become lone surrogates (PEP 383), so that nothing is lost."""
    return os.fsdecode(path)

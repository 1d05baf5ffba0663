"""The words by which a run is found, and those that somebody looks for.

Both databases get words that are taken apart here, so that they find the same: letters and digits that follow each
other, in small letters and without accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from dotscience.record import RunRecord

MAX_WORDS = 1_000
MAX_WORD_CHARS = 64
MAX_TEXT_CHARS = 20_000

_WORD = re.compile(r"[^\W_]+")


def words_in(text: str) -> list[str]:
    """The words of a text in their order, without repetitions; long ones are cut."""
    plain = unicodedata.normalize("NFKD", text[:MAX_TEXT_CHARS].casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return list(dict.fromkeys(word[:MAX_WORD_CHARS] for word in _WORD.findall(letters)))


def words_of_run(record: RunRecord, name: str, notes: str, tags: Iterable[str]) -> list[str]:
    """The words by which a run is found, at most 1,000: those that people wrote first."""
    texts = [name, record.description or "", *tags, notes, record.error or "", *_places(record)]
    return list(dict.fromkeys(word for text in texts for word in words_in(text)))[:MAX_WORDS]


def _places(record: RunRecord) -> Iterator[str]:
    yield record.workload_file or ""
    if record.place is not None:
        yield record.place.notebook or ""
    for file in (*record.inputs, *record.outputs):
        yield file.path

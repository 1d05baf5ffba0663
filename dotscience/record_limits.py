"""How large run records may be, for everybody who writes or takes them, and cutting one down that is larger.

A hub refuses larger ones, and with them the commit that lists them. So the library cuts a record when the run is
published, and says what it left out; the committer does the same for records that came otherwise.
"""

from __future__ import annotations

from typing import Any

from msgspec import json as msgspec_json
from msgspec.structs import replace

from dotscience.record import FileRef, RunRecord, encode_json

MAX_RUN_BYTES = 4 * 2**20
MAX_COMMIT_RUN_BYTES = 64 * 2**20
"""All run records of a commit together."""
FILE_BYTES = 160
"""What committing adds to each file at most: its hash, its size, and marks."""
_ROOM = 2**16
"""For what committing adds to the record itself."""
LARGE_VALUE_BYTES = 2**14
_PREVIEW_CHARS = 500
_PREVIEW_BYTES = 6 * _PREVIEW_CHARS + 50
"""At most, as JSON escapes a character by up to six bytes."""
_NAMED = 5
_TEXTS = ("traceback", "description", "error")
_VALUES = ("parameters", "summary", "labels")


def committed_size(record: RunRecord) -> int:
    """The bytes of the record once it is committed, at most."""
    return len(encode_json(record)) + FILE_BYTES * (len(record.inputs) + len(record.outputs)) + _ROOM


def fit(record: RunRecord) -> tuple[RunRecord, list[str]]:
    """The record as a hub takes it, and what was left out for that, in sentences; both are in its warnings, too.

    First large values are cut to their beginning, the largest first, then long texts, and then the lists of files.
    """
    cuts: list[str] = []
    record = _cut_values(record, cuts)
    for name in _TEXTS:
        text = getattr(record, name)
        if committed_size(record) > MAX_RUN_BYTES and text is not None and len(text) > LARGE_VALUE_BYTES:
            record = replace(record, **{name: _preview(text)})
            cuts.append(f"the {name} has {len(text):,} characters; only its beginning is kept")
    for name in ("inputs", "outputs"):
        record = _cut_files(record, name, cuts)
    return (replace(record, warnings=[*record.warnings, *cuts]) if cuts else record), cuts


def _cut_values(record: RunRecord, cuts: list[str]) -> RunRecord:
    excess = committed_size(record) - MAX_RUN_BYTES
    if excess <= 0:
        return record
    values: dict[str, dict[str, Any]] = {kind: dict(getattr(record, kind)) for kind in _VALUES}
    sized = [(len(msgspec_json.encode(one)), kind, name) for kind in _VALUES for name, one in values[kind].items()]
    named = []
    for size, kind, name in sorted(sized, reverse=True):
        if excess <= 0 or size <= _PREVIEW_BYTES:
            break
        values[kind][name] = _preview(str(values[kind][name]))
        excess -= size - _PREVIEW_BYTES
        named.append(f"{kind}.{name[:80]} ({size:,} bytes)")
    if named:
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        cuts.append(f"only the beginning is kept of {', '.join(named[:_NAMED])}{more}")
    return replace(record, **values)


def _cut_files(record: RunRecord, name: str, cuts: list[str]) -> RunRecord:
    excess = committed_size(record) - MAX_RUN_BYTES
    if excess <= 0:
        return record
    files: list[FileRef] = list(getattr(record, name))
    kept = len(files)
    while kept and excess > 0:
        kept -= 1
        excess -= len(msgspec_json.encode(files[kept])) + 1 + FILE_BYTES
    if kept < len(files):
        cuts.append(
            f"{len(files) - kept:,} of {len(files):,} {name} are left out, as a run's record has at most "
            f"{MAX_RUN_BYTES >> 20} MiB; name the folder's archive or a list of its files instead"
        )
    return replace(record, **{name: files[:kept]})


def _preview(text: str) -> str:
    return f"{text[:_PREVIEW_CHARS]}… ({len(text):,} characters, cut)"

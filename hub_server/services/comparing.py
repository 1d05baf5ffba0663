"""Runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from dotscience.record import FileRef, RunRecord
from hub_server.domain.problems import invalid, not_found
from hub_server.domain.types import ComparedFile, ComparedValue, Comparison
from hub_server.store import runs
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef

MAX_RUNS = 50
_MISSING = object()
"""Unlike null, which a run may have as a value."""


class Comparing:
    """Finds what runs have in common and what not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(self, project: ProjectRef, run_ids: Sequence[str]) -> Comparison:
        """The runs in the order asked for, with their values and files.

        Raises:
            Problem: invalid-parameter, for fewer than 2 or more than 50 different runs; not-found.
        """
        wanted = list(dict.fromkeys(run_ids))
        if not 2 <= len(wanted) <= MAX_RUNS:
            raise invalid("runs", f"name 2 to {MAX_RUNS} different runs, not {len(wanted)}", kind="invalid-parameter")
        found = await self._database.read(lambda c: runs.find_runs(c, project.key, wanted))
        for run_id in wanted:
            if run_id not in found:
                raise not_found("run", run_id)
        shown = [found[run_id] for run_id in wanted]
        records = [msgspec.json.decode(one.record, type=RunRecord) for one in shown]
        return Comparison(
            runs=shown,
            parameters=_values(records, lambda record: record.parameters),
            summary=_values(records, lambda record: record.summary),
            labels=_values(records, lambda record: record.labels),
            files=[
                *_files(records, "input", lambda record: record.inputs),
                *_files(records, "output", lambda record: record.outputs),
            ],
        )


def _values(records: list[RunRecord], group: Callable[[RunRecord], dict[str, Any]]) -> list[ComparedValue]:
    names = sorted({name for record in records for name in group(record)})
    rows = [(name, [group(record).get(name, _MISSING) for record in records]) for name in names]
    compared = [
        ComparedValue(name=name, values=[None if one is _MISSING else one for one in values], differs=_differ(values))
        for name, values in rows
    ]
    return sorted(compared, key=lambda one: not one.differs)


def _files(
    records: list[RunRecord], direction: Literal["input", "output"], group: Callable[[RunRecord], list[FileRef]]
) -> list[ComparedFile]:
    by_path = [{file.path: file for file in group(record)} for record in records]
    rows = [
        (path, [files.get(path) for files in by_path]) for path in sorted({path for one in by_path for path in one})
    ]
    compared = [
        ComparedFile(
            direction=direction,
            path=path,
            content_hashes=[_hash(file) for file in files],
            differs=_differ([_hash(file) for file in files]) or any(map(_is_lost, files)),
        )
        for path, files in rows
    ]
    return sorted(compared, key=lambda one: not one.differs)


def _hash(file: FileRef | None) -> str | None:
    return None if file is None else file.content_hash


def _is_lost(file: FileRef | None) -> bool:
    """Whether a run had a content that nobody knows any more, so that it cannot be said to be the same as another."""
    return file is not None and (file.overwritten or file.changed_after_read) and file.content_hash is None


def _differ(values: Sequence[Any]) -> bool:
    """Whether not all are the same; true and 1 are not, as in JSON."""
    return any(type(one) is not type(values[0]) or one != values[0] for one in values)

"""What detection hands on: runs that were seen, and the state of the notebook that they were seen in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath

import msgspec
from msgspec import Struct

from committer.detect.run_content import content_digest
from committer.sync.journal import Source
from dotscience.notebook import FoundRun
from dotscience.notebook_cells import NotebookState
from dotscience.record import RunRecord

MAX_WARNINGS = 20
"""Of what was wrong with a block; a hostile one could have thousands of wrong fields."""


class Sighting(Struct, frozen=True, kw_only=True):
    """A run that was seen in one carrier.

    `notebook` is where the run happened, as far as this carrier tells; `seen_in` is the saved notebook that holds its
    output, and None for a sidecar. `digest` is equal for equal content in carriers of the same kind.
    """

    record: RunRecord
    source: Source
    digest: str
    notebook: str | None
    seen_in: str | None


class NotebookSight(Struct, frozen=True, kw_only=True):
    """A readable state of a notebook: `signature` tells whether the file changed since."""

    path: str
    signature: str
    saved_at: datetime
    state: NotebookState
    sightings: list[Sighting]


def sighting(found: FoundRun, *, seen_in: str | None) -> Sighting | None:
    """The sighting of a run that was found, or None for a block that is no run that can be kept."""
    if found.record is None:
        return None
    record = found.record
    if found.errors:
        record = msgspec.structs.replace(record, warnings=[*record.warnings, *found.errors[:MAX_WARNINGS]])
    return Sighting(
        record=record,
        source=found.carrier,
        digest=content_digest(found.record),
        notebook=_placed(record) or seen_in,
        seen_in=seen_in,
    )


def time_of(ns: int) -> datetime:
    """A file time as UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC)


def is_inside(path: str) -> bool:
    """Whether a path that somebody wrote down, and that can be forged, stays in the workspace."""
    return not path.startswith("/") and "\0" not in path and ".." not in PurePosixPath(path).parts


def _placed(record: RunRecord) -> str | None:
    """The notebook that the record names, unless it points out of the workspace."""
    named = record.place.notebook if record.place else None
    return named if named is not None and is_inside(named) else None

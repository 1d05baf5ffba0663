"""Saying how snapshots read a workspace: by the committer that does, or as one would that started now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from committer.status import ReadingStatus, Refused
from committer.workspace.choose import Reading, choose_reading
from committer.workspace.watch import DirtySet

if TYPE_CHECKING:
    from committer.settings import CommitterSettings
    from dotscience.workspace import Workspace


def describe(reading: Reading) -> ReadingStatus:
    """A reading, for the status."""
    return ReadingStatus(
        name=reading.name,
        watching=reading.source.name == "watch",
        consistency=reading.consistency,
        refused=[Refused(one.name, one.reason) for one in reading.refusals],
    )


def try_out(workspace: Workspace, settings: CommitterSettings) -> ReadingStatus:
    """What a committer would choose that started now; the caller holds the workspace's lock, so that none does.

    Raises:
        ConfigError: it would refuse to start.
    """
    dirty = None if settings.watch == "poll" else DirtySet()
    reading = choose_reading(
        workspace, wanted=settings.change_source, dirty=dirty, min_free_bytes=settings.min_free_bytes
    )
    try:
        return describe(reading)
    finally:
        reading.close()

"""From the run records that commits list to the rows that are made of them."""

from __future__ import annotations

from uuid import UUID

from committer.storage.objects import decode_run
from dotscience.errors import CorruptObject
from dotscience.record import Commit
from dotscience.record_limits import MAX_COMMIT_RUN_BYTES, MAX_RUN_BYTES
from hub_server.store.runs import NewRun


class Budget:
    """How much the records of one commit may take. A run that is beyond is left out; its commit is taken without it."""

    def __init__(self) -> None:
        self._left = MAX_COMMIT_RUN_BYTES

    def refusal(self, size: int) -> str | None:
        """Why a record of `size` bytes is not taken, or None where it is."""
        if size > MAX_RUN_BYTES:
            return f"the run's record takes {size:,} bytes, and the hub takes {MAX_RUN_BYTES:,}"
        if size > self._left:
            return f"the records of its commit take more than the {MAX_COMMIT_RUN_BYTES:,} bytes that the hub takes"
        self._left -= size
        return None


def read_run(commit: Commit, run_id: str, name: bytes, data: bytes) -> NewRun:
    """The run that `commit` lists as `run_id`, from its record's object `data` of the hash `name`.

    Raises:
        CorruptObject: it is not what the commit says.
    """
    record = decode_run(data)
    if record.run_id != run_id:
        raise CorruptObject(f"the commit lists run {run_id!r}, but its record says {record.run_id!r}")
    if not _is_canonical_uuid(run_id):
        raise CorruptObject(f"the commit lists run {run_id!r}, which is no UUID in its usual form")
    try:
        doc = data.decode()
    except UnicodeDecodeError as error:
        raise CorruptObject(f"the record of run {run_id!r} is not UTF-8") from error
    return NewRun(
        record=record, hash=name, doc=doc, happened_at=record.started_at or record.ended_at or commit.created_at
    )


def _is_canonical_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False

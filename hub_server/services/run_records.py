"""From the run records that commits list to the rows that are made of them."""

from __future__ import annotations

from uuid import UUID

from committer.storage.objects import decode_run
from dotscience.errors import CorruptObject
from dotscience.record import Commit
from dotscience.record_limits import MAX_RUN_BYTES
from hub_server.store.runs import NewRun


def read_run(commit: Commit, run_id: str, name: bytes, data: bytes) -> NewRun:
    """The run that `commit` lists as `run_id`, from its record's object `data` of the hash `name`.

    Raises:
        CorruptObject: it is too large, or not what the commit says.
    """
    if len(data) > MAX_RUN_BYTES:
        raise CorruptObject(f"the record of run {run_id!r} is {len(data)} bytes, more than {MAX_RUN_BYTES}")
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

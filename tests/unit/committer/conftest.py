"""A journal in a store, and records to put into it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from committer.detect.sighting import Sighting
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal
from dotscience.record import Place, RunRecord

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with ObjectStore(tmp_path / "store", min_free_bytes=0) as store:
        yield store


@pytest.fixture
def journal(store):
    journal = Journal(store.folder)
    yield journal
    journal.close()


@pytest.fixture
def make_sighting():
    def make(source="sidecar", *, notebook=None, seen_in=None, digest="d", run_id=None, **fields):
        record = RunRecord(
            run_id=run_id or str(uuid.uuid4()),
            place=Place(notebook=notebook) if notebook else None,
            **{"ended_at": datetime.now(UTC), **fields},
        )
        return Sighting(record=record, source=source, digest=digest, notebook=notebook or seen_in, seen_in=seen_in)

    return make

"""Runs as the local API lists them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from committer.detect.sidecars import read_environment
from committer.running import RunningRun
from committer.storage.objects import Kind
from committer.storage.store import StoreReader
from committer.sync.journal import RunRow, State
from dotscience.record import Environment, RunRecord, decode_json
from dotscience.workspace import HubBinding, Workspace


class RunEntry(Struct, frozen=True, kw_only=True):
    """A run in a list; `hub_url` is the run's page, once the hub has it."""

    seq: int
    run_id: str
    state: State
    record: RunRecord
    notebook: str | None
    commit: str | None
    noticed_at: datetime
    hub_url: str | None


class RunDetail(RunEntry, frozen=True, kw_only=True):
    """A run with what it ran on."""

    environment: Environment | None


class RunPage(Struct, frozen=True, kw_only=True):
    """The answer of `GET /v1/runs`; `next_before` asks for the page that follows.

    `running` has the runs that are not published yet; only on the first page, and only without a notebook.
    """

    runs: list[RunEntry]
    next_before: int | None
    total: int
    running: list[RunningRun] = []


def entry(row: RunRow, hub: HubBinding | None, refused: str | None = None) -> RunEntry:
    """The entry of a run; `refused` is why the hub does not take it."""
    on_hub = hub is not None and row.state == "pushed" and refused is None
    record = row.record
    if refused is not None:
        warning = f"the hub does not take this run: {refused}"
        record = msgspec.structs.replace(record, warnings=[*record.warnings, warning])
    return RunEntry(
        seq=row.seq,
        run_id=row.run_id,
        state="committed" if refused is not None and row.state == "pushed" else row.state,
        record=record,
        notebook=row.notebook,
        commit=row.commit,
        noticed_at=row.noticed_at,
        hub_url=f"{hub.url.rstrip('/')}/p/{hub.project_id}/runs/{row.run_id}" if hub and on_hub else None,
    )


def detail(
    row: RunRow, workspace: Workspace, store: Path, known_hash: str | None, refused: str | None = None
) -> RunDetail:
    """The entry of a run with its environment; reads files, so not for the event loop."""
    environment = _environment(row, workspace, store, known_hash)
    return RunDetail(**msgspec.structs.asdict(entry(row, workspace.hub, refused)), environment=environment)


def _environment(row: RunRow, workspace: Workspace, store: Path, known_hash: str | None) -> Environment | None:
    """A committed record names the object; before that the file, or an object if an earlier run had the same one."""
    named = row.record.environment
    if named is None:
        return None
    stored = named if row.commit is not None else known_hash
    if stored is None:
        return read_environment(workspace.runs_dir, named)
    with StoreReader(store) as reader:
        return decode_json(reader.get(bytes.fromhex(stored), Kind.ENVIRONMENT), Environment)

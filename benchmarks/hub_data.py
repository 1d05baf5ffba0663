"""The runs that `hub.py` asks for, and how they get into a hub's database: as a push stores them, durably."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

from hub_figures import Clock, Cost
from sqlalchemy import Connection

from dotscience.record import RunRecord, encode_json
from hub_server.domain.types import AccountInfo
from hub_server.store import accounts, commits, runs
from hub_server.store.collaborators import find_access
from hub_server.store.database import Database
from hub_server.store.projects import NewProject, add_project

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 500
SINGLES = 300
SHARES = (0.5, 0.2, *[0.02] * 10, *[0.001] * 100)
"""What each of 112 projects has of all runs."""
SEED = 4


def make_record(chance: random.Random, number: int) -> RunRecord:
    """A run: `optimizer` is one of 5, `dataset` one of 50, `batch` one of 20, `seed` one of 100,000."""
    lr = 10 ** -chance.uniform(1, 5)
    loss = chance.expovariate(2)
    accuracy = 1 - loss / (loss + 1) + chance.gauss(0, 0.05)
    started = NOW - timedelta(seconds=number)
    return RunRecord(
        run_id=str(UUID(int=number)),
        started_at=started,
        ended_at=started + timedelta(minutes=5),
        workload_file="train.ipynb",
        parameters={
            "optimizer": f"optimizer_{chance.randrange(5)}",
            "dataset": f"dataset_{chance.randrange(50)}",
            "batch": str(chance.randrange(20)),
            "seed": chance.randrange(100_000),
            "lr": lr,
            **{f"parameter_{place}": chance.randrange(1000) for place in range(5)},
        },
        summary={
            "accuracy": accuracy,
            "loss": loss,
            **{f"metric_{place}": chance.random() for place in range(8)},
        },
        labels={"team": f"team_{number % 10}"},
    )


def batches(count: int) -> Iterator[list[RunRecord]]:
    """The first runs, always the same ones, as many as are stored at once."""
    chance = random.Random(SEED)
    records = (make_record(chance, number) for number in range(count))
    while batch := list(islice(records, BATCH)):
        yield batch


async def fill(
    database: Database, count: int, say: Callable[[str], None], *, shares: Sequence[float] = SHARES
) -> list[Cost]:
    """Store runs, in projects with these shares of them; what each full commit of 500 runs took."""
    chance = random.Random(SEED)
    costs: list[Cost] = []
    number = 0
    for place, share in enumerate(shares):
        key, dot = await database.write(partial(_project, place=place))
        for start in range(0, round(count * share), BATCH):
            size = min(BATCH, round(count * share) - start)
            cost = await _store(database, key, dot, [make_record(chance, number + one) for one in range(size)], number)
            costs += [cost] if size == BATCH else []
            number += size
            if number % 50_000 < BATCH:
                say(f"{number:,} runs are stored")
    return costs


async def fill_singly(database: Database, number: int) -> list[Cost]:
    """Store a few runs after the first `number` in a project of their own; what each commit of one run took."""
    chance = random.Random(SEED)
    key, dot = await database.write(partial(_project, place=len(SHARES)))
    last = number + SINGLES
    return [await _store(database, key, dot, [make_record(chance, one)], one) for one in range(number, last)]


def key_of_first(connection: Connection) -> int | None:
    """The key of the largest project; None in a database without runs."""
    found = find_access(connection, "p0", "")
    return None if found is None else found.key


async def _store(database: Database, key: int, dot: str, records: list[RunRecord], number: int) -> Cost:
    new = [_new(record) for record in records]
    clock = Clock()
    await database.write(lambda c: _commit(c, key, dot, new, number))
    return clock.cost()


def _project(connection: Connection, place: int) -> tuple[int, str]:
    account = accounts.ensure_administrator(connection, AccountInfo("a", "owner"), "admin", NOW)
    dot = str(UUID(int=place))
    made = NewProject(id=f"p{place}", name=f"project {place}", dot_id=dot, created_by=account.id, created_at=NOW)
    return add_project(connection, made), dot


def _new(record: RunRecord) -> runs.NewRun:
    doc = encode_json(record).decode()
    return runs.NewRun(record=record, hash=bytes(32), doc=doc, happened_at=record.started_at or NOW)


def _commit(connection: Connection, key: int, dot: str, new: Sequence[runs.NewRun], number: int) -> None:
    name = number.to_bytes(32, "big")
    made = commits.NewCommit(dot_id=dot, hash=name, branch="main", root=name, runs=len(new), doc=b"{}", pushed_at=NOW)
    place = runs.Ingest(project_key=key, commit_key=commits.add_commit(connection, made), commit_id=name.hex(), now=NOW)
    runs.add_runs(connection, place, list(new))

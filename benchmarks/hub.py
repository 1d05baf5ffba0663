"""What the lists of a large hub cost: pages of 50 runs, sorted by a metric, with and without filters.

    python benchmarks/hub.py [--runs 1000000] [--json] [--data DIR] [--database postgresql://…]

There are 112 projects; the largest has half of the runs, 100 have a thousandth each. Each run has 10 parameters and 10
metrics. Runs are stored as a push stores them, in batches of 500, durably. A query is what the hub does for a request
but for HTTP: the page, its documents, the count, the JSON; CPU is that of this process, and so without a server's. The
first round finds no caches of the hub, and for a file none of the system's ("cold"). `--data` keeps the file for a
later time; a database on a server is filled where it is empty, and left as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from dotscience.record import RunRecord, encode_json
from hub_server.domain.filters import parse_filter
from hub_server.domain.types import AccountInfo
from hub_server.services.history import History
from hub_server.services.workers import Workers
from hub_server.store import accounts, commits, runs
from hub_server.store.backends.backend import Backend
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.collaborators import find_access
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.store.projects import NewProject, ProjectRef, add_project
from hub_server.store.run_order import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 500
ROUNDS = 40
PAGE = 50
SHARES = (0.5, 0.2, *[0.02] * 10, *[0.001] * 100)
SEED = 4


class Figure(Struct, frozen=True, kw_only=True):
    """One line: milliseconds of wall and CPU, and how many runs came."""

    query: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    rows: int
    cold_ms: float


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
    )


def queries(chance: random.Random) -> dict[str, Callable[[], str]]:
    """The filters of a round, by name (shares of the runs that meet them in parentheses)."""
    optimizer = lambda: f'param.optimizer = "optimizer_{chance.randrange(5)}"'  # noqa: E731
    dataset = lambda: f'param.dataset = "dataset_{chance.randrange(50)}"'  # noqa: E731
    batch = lambda: f"param.batch = {chance.randrange(20)}"  # noqa: E731
    return {
        "no filter": lambda: "",
        "optimizer = x (20 %)": optimizer,
        "dataset = x (2 %)": dataset,
        "seed = x (0.001 %)": lambda: f"param.seed = {chance.randrange(100_000)}",
        "2 conditions (0.4 %)": lambda: f"{optimizer()} and {dataset()}",
        "3 conditions (0.02 %)": lambda: f"{optimizer()} and {dataset()} and {batch()}",
        "or (22 %)": lambda: f"{optimizer()} or {dataset()}",
        "loss < 0.1 (18 %)": lambda: "summary.loss < 0.1",
        "lr > 0.09 (1 %)": lambda: "param.lr > 0.09",
        "started > -1d": lambda: "started > -1d",
    }


async def fill(database: Database, count: int, say: Callable[[str], None]) -> float:
    """Store the runs; how many were stored in a second."""
    chance = random.Random(SEED)
    account = await database.write(lambda c: accounts.ensure_first_account(c, AccountInfo("a", "owner"), "admin", NOW))
    began, number = time.perf_counter(), 0
    for place, share in enumerate(SHARES):
        key, dot = await database.write(lambda c, place=place: _project(c, account.id, place))
        for start in range(0, round(count * share), BATCH):
            size = min(BATCH, round(count * share) - start)
            new = [_new(make_record(chance, number + one)) for one in range(size)]
            await database.write(lambda c, key=key, dot=dot, new=new, number=number: _commit(c, key, dot, new, number))
            number += size
            if number % 50_000 < BATCH:
                say(f"{number:,} runs, {number / (time.perf_counter() - began):,.0f} a second")
    return number / (time.perf_counter() - began)


def _project(connection, account_id: str, place: int) -> tuple[int, str]:
    dot = str(UUID(int=place))
    made = NewProject(id=f"p{place}", name=f"project {place}", dot_id=dot, created_by=account_id, created_at=NOW)
    return add_project(connection, made), dot


def key_of_first(connection) -> int | None:
    found = find_access(connection, "p0", "")
    return None if found is None else found.key


def _new(record: RunRecord) -> runs.NewRun:
    doc = encode_json(record).decode()
    return runs.NewRun(record=record, hash=bytes(32), doc=doc, happened_at=record.started_at or NOW)


def _commit(connection, key: int, dot: str, new: Sequence[runs.NewRun], number: int) -> None:
    name = number.to_bytes(32, "big")
    made = commits.NewCommit(dot_id=dot, hash=name, branch="main", root=name, runs=len(new), doc=b"{}", pushed_at=NOW)
    place = runs.Ingest(project_key=key, commit_key=commits.add_commit(connection, made), commit_id=name.hex(), now=NOW)
    runs.add_runs(connection, place, list(new))


async def measure(backend: Backend, say: Callable[[str], None]) -> list[Figure]:
    """Every query, `ROUNDS` times in turn."""
    database, workers = Database(backend), Workers(1)
    history = History(database, None, workers, clock=lambda: NOW)  # type: ignore[arg-type] - no file is read
    project = await database.read(lambda c: ProjectRef(id="p0", key=key_of_first(c) or 0))
    wanted = queries(random.Random(SEED))
    times: dict[str, list[tuple[float, float, int]]] = {name: [] for name in wanted}
    try:
        for turn in range(ROUNDS + 1):
            for name, text in wanted.items():
                asked = text()
                times[name].append(await _page(history, project, parse_filter(asked) if asked else None))
            if turn == 0:
                say("cold round done")
    finally:
        database.close()
        workers.close()
    return [_figure(name, taken) for name, taken in times.items()]


async def _page(history: History, project: ProjectRef, wanted) -> tuple[float, float, int]:
    began, cpu = time.perf_counter(), time.process_time()
    order = Order(key=("summary", "accuracy"), descending=True)
    found = await history.runs(history.select(project, wanted), order, None, PAGE)
    msgspec.json.encode(found)
    return (time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3, len(found.items)


def _figure(name: str, taken: list[tuple[float, float, int]]) -> Figure:
    cold, *warm = taken
    wall = sorted(one for one, _, _ in warm)
    return Figure(
        query=name,
        p50_ms=round(statistics.median(wall), 2),
        p95_ms=round(wall[int(len(wall) * 0.95)], 2),
        cpu_ms=round(statistics.median(cpu for _, cpu, _ in warm), 2),
        rows=round(statistics.median(rows for _, _, rows in warm)),
        cold_ms=round(cold[0], 2),
    )


def forget(path: Path) -> None:
    """Have the system drop what it keeps of a file in memory (posix_fadvise(2))."""
    for one in (path, path.with_name(f"{path.name}-wal")):
        if one.exists():
            descriptor = os.open(one, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def data_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that goes afterwards."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="dotscience-benchmark-") as made:
        yield Path(made)


async def run(options: argparse.Namespace, folder: Path) -> tuple[list[Figure], float | None]:
    """Fill the database where it is empty, and measure."""
    path = folder / f"hub-{options.runs}.db"
    backend: Backend = Postgresql(options.database) if options.database else Sqlite(path)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    migrate(backend)
    database = Database(backend)
    is_empty = await database.read(lambda c: key_of_first(c) is None)
    rate = await fill(database, options.runs, say) if is_empty else None
    if options.database:  # what autovacuum does by itself, some time later
        await database.write(lambda c: c.exec_driver_sql("ANALYZE"))
    database.close()
    forget(path)
    return await measure(backend, say), rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--database", metavar="URL", help="an empty database on a PostgreSQL server")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    options = parser.parse_args()
    for folder in data_folder(options.data):
        figures, rate = asyncio.run(run(options, folder))
    if options.json:
        for one in figures:
            print(json.dumps(msgspec.to_builtins(one)))
        if rate is not None:
            print(json.dumps({"query": "ingest, 500 in a commit", "runs_per_s": round(rate)}))
        return
    table = Table("query", "p50 ms", "p95 ms", "CPU ms", "rows", "cold ms", title=f"{options.runs:,} runs")
    for one in figures:
        table.add_row(one.query, *(str(value) for value in (one.p50_ms, one.p95_ms, one.cpu_ms, one.rows, one.cold_ms)))
    Console().print(table)
    if rate is not None:
        print(f"stored at {rate:,.0f} runs/s, 500 in a commit")


if __name__ == "__main__":
    main()

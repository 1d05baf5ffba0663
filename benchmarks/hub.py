"""What the lists of a large hub cost: pages of 50 runs, sorted by a metric, with and without filters.

    python benchmarks/hub.py [--runs 1000000] [--backend sqlite|postgresql] [--json] [--data DIR] [--database URL]
    python benchmarks/hub.py --peer mlflow --runs 100000 [--backend sqlite|postgresql] [--json]

There are 112 projects; the largest has half of the runs, 100 have a thousandth each. Each run has 10 parameters, 10
metrics and a label. Runs are stored as a push stores them, durably: 500 in a commit, and in the end 300 with a commit
each. A query is what the hub does for a request but for HTTP: the page, its documents, the count, the JSON; CPU is that
of this process, and so without a server's. Everything is asked in 40 rounds, with other values in each: first after the
hub, the server and the system have dropped what they had in memory ("cold"), then after the system has read the
database's files, which the other figures are of. Where somebody else runs the server, its memory is as it is. `--peer`
is described in hub_mlflow.py.

`--backend postgresql` starts a server for as long as this runs, from Debian's package and without fsync; `--database`
names one that runs. `--data` keeps SQLite's file for a later time. A database that has runs is left as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import hub_mlflow
import msgspec
from hub_data import NOW, SEED, SHARES, fill, fill_singly, key_of_first
from hub_databases import Place, data_folder, named, own_server, sqlite
from hub_figures import Clock, Cost, Figure, as_json, figure, p95_ms, table
from rich.console import Console

from hub_server.domain.filters import parse_filter
from hub_server.services.history import History
from hub_server.store.backends.backend import Backend
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.store.projects import ProjectRef
from hub_server.store.run_order import Order
from hub_server.thread_pool import ThreadPool

ROUNDS = 40
PAGE = 50
ALL_IN_ONE = (1.0,)


def queries(chance: random.Random) -> dict[str, Callable[[], str]]:
    """The filters of a round, by name (shares of the runs that meet them in parentheses)."""

    def optimizer() -> str:
        return f'param.optimizer = "optimizer_{chance.randrange(5)}"'

    def dataset() -> str:
        return f'param.dataset = "dataset_{chance.randrange(50)}"'

    def batch() -> str:
        return f"param.batch = {chance.randrange(20)}"

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


class Lists:
    """Asks for pages of the largest project's runs."""

    def __init__(self, history: History, project: ProjectRef) -> None:
        self._history = history
        self._project = project

    async def ask(self, text: str, metric: str | None) -> tuple[Cost, list[str]]:
        """The first page of those that meet a filter, by a metric or else by start: what it took, and the runs' ids."""
        wanted = parse_filter(text) if text else None
        order = Order(key=None if metric is None else ("summary", metric), descending=True)
        clock = Clock()
        found = await self._history.runs(self._history.select(self._project, wanted), order, None, PAGE)
        msgspec.json.encode(found)
        return clock.cost(), [UUID(run.id).hex for run in found.items]


@asynccontextmanager
async def lists(backend: Backend) -> AsyncIterator[Lists]:
    """What a hub has to answer with, for as long as the block."""
    database, workers = Database(backend), ThreadPool(1)
    try:
        history = History(database, None, workers, senders=workers, clock=lambda: NOW)  # type: ignore[arg-type]  # no file is read
        key = await database.read(key_of_first)
        yield Lists(history, ProjectRef(id="p0", key=key or 0))
    finally:
        database.close()
        workers.close()


async def prepare(place: Place, runs: int, shares: Sequence[float]) -> tuple[list[Cost], list[Cost]]:
    """Store the runs where there are none: what commits of many took, and those of one."""
    migrate(place.backend)
    database = Database(place.backend)
    try:
        if await database.read(key_of_first) is not None:
            return [], []
        many = await fill(database, runs, say, shares=shares)
        single = await fill_singly(database, runs)
        if place.vacuum:
            place.vacuum()
        return many, single
    finally:
        database.close()


async def measure(place: Place, runs: int) -> list[Figure]:
    """Ingest, and then every query in turn, with nothing in memory and with everything."""
    many, single = await prepare(place, runs, SHARES)
    made = partial(figure, engine="ours", backend=place.backend.system, runs=runs)
    stored = [
        made(costs, query=f"ingest, {rows} in a commit", rows=rows, per_s=_rate(rows, costs))
        for rows, costs in ((500, many), (1, single))
        if costs
    ]
    if place.forget:
        place.forget()
    wanted = queries(random.Random(SEED))
    async with lists(place.backend) as ours:
        first = await _ask_all(ours, wanted)
        if place.remember:
            place.remember()
        taken = await _ask_all(ours, wanted)
    return stored + [
        made(
            [cost for cost, _ in taken[name]],
            query=name,
            rows=round(statistics.median(rows for _, rows in taken[name])),
            **(_cold([cost for cost, _ in first[name]]) if place.forget else {}),
        )
        for name in wanted
    ]


async def _ask_all(ours: Lists, wanted: dict[str, Callable[[], str]]) -> dict[str, list[tuple[Cost, int]]]:
    taken: dict[str, list[tuple[Cost, int]]] = {name: [] for name in wanted}
    for _ in range(ROUNDS):
        for name, text in wanted.items():
            cost, found = await ours.ask(text(), "accuracy")
            taken[name].append((cost, len(found)))
    return taken


def _cold(costs: Sequence[Cost]) -> dict[str, float]:
    """The first time, and the 95th percentile of all times until much is in memory."""
    return {"cold_ms": round(costs[0].wall_ms, 2), "cold_p95_ms": p95_ms(costs)}


def _rate(rows: int, costs: Sequence[Cost]) -> int:
    """Runs a second."""
    return round(1e3 * rows * len(costs) / sum(one.wall_ms for one in costs))


async def compare(place: Place, runs: int, folder: Path) -> list[Figure]:
    """Ours and MLflow's, on databases of the same kind."""
    await prepare(place, runs, ALL_IN_ONE)
    assert place.peer is not None
    with hub_mlflow.mlflow(place.peer, folder, say) as peer:
        peer.fill(runs, say)
        if place.remember:
            place.remember()
        async with lists(place.backend) as ours:
            return await hub_mlflow.compare(ours.ask, peer, runs=runs, backend=place.backend.system)


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(text, file=sys.stderr, flush=True)


def place_of(options: argparse.Namespace, folder: Path) -> AbstractContextManager[Place]:
    """The database that the options ask for."""
    if options.database:
        return named(options.database)
    if options.backend == "postgresql":
        return own_server()
    return sqlite(folder, f"{options.runs}-{options.peer}" if options.peer else str(options.runs))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000, metavar="N", help="at least 1,000")
    parser.add_argument("--backend", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--database", metavar="URL", help="an empty database on a PostgreSQL server that runs")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where SQLite's file is kept")
    parser.add_argument("--peer", choices=("mlflow",), help="ask somebody else the same, in turn")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    options = parser.parse_args()
    if options.runs < 1_000:
        parser.error(f"--runs {options.runs}: with fewer than 1,000 some projects would have no runs")
    if options.database and options.peer:
        parser.error("--peer needs two databases on one server; leave --database out, and one is started")
    if options.database and options.backend == "sqlite" and "--backend" in sys.argv:
        parser.error("--database is on a PostgreSQL server; leave --backend sqlite out")
    return options


def main() -> int:
    options = parse_options()
    try:
        with data_folder(options.data) as folder, place_of(options, folder) as place:
            work = compare(place, options.runs, folder) if options.peer else measure(place, options.runs)
            figures = asyncio.run(work)
    except hub_mlflow.PeerError as error:
        say(str(error))
        return 1
    if options.json:
        for one in figures:
            print(as_json(one))
    else:
        Console().print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether a busy hub still answers at once: `/healthz` while four clients ask for slow lists and one uploads packs.

    python benchmarks/hub_loop.py [--runs 100000] [--seconds 20] [--json] [--data DIR]

A real `ds hub` on loopback, with the runs of `benchmarks/hub.py` in its database. Every client is a process of its own
and asks again as soon as it has an answer; the one that is timed does so every few milliseconds, first with nobody
else there. Its times include what the machine takes to give a processor to it and to the hub, so they say little on one
with fewer processors than clients: the share of the time in which a process waited for one is shown beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from uuid import UUID

import requests
from hub_data import SEED, fill, key_of_first
from hub_databases import data_folder
from hub_ingest import Hub
from msgspec import Struct

from committer.storage.objects import Kind, digest
from committer.storage.pack import PackWriter, pack_path
from dotscience.client.hub import HubClient
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.migrate import migrate

ASKING = 4
PACK_BYTES = 16 * 2**20
PAUSE_S = 0.005
TOO_SLOW = 422
"""A filter may take longer than the hub lets it."""
PAGE = "/api/v1/projects/p0/runs?limit=50&sort=summary.accuracy"


class Figure(Struct, frozen=True, kw_only=True):
    """`/healthz` in one situation: milliseconds of wall, and how often it was asked.

    `waited` is how much of its time the hub, ready to run, waited for a processor, in percent (schedstat of proc(5)).
    """

    situation: str
    p50_ms: float
    p99_ms: float
    max_ms: float
    asked: int
    waited: float
    lists_per_s: float = 0.0
    uploaded_mib_per_s: float = 0.0


def slow_filters(chance: random.Random) -> list[str]:
    """Those that take longest in `benchmarks/hub.py`, and one that few of the first runs meet in this order."""
    optimizer = f'param.optimizer = "optimizer_{chance.randrange(5)}"'
    dataset = f'param.dataset = "dataset_{chance.randrange(50)}"'
    return [
        f"{optimizer} and {dataset}",
        f"{optimizer} and {dataset} and param.batch = {chance.randrange(20)}",
        "param.lr > 0.09",
        "summary.accuracy < 0.2",
    ]


def ask_for_lists(url: str, token: str, seed: int, stop: Event, done: multiprocessing.Queue) -> None:
    """Ask for one slow list after the other; says how many came."""
    chance, count = random.Random(seed), 0
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        while not stop.is_set():
            for wanted in slow_filters(chance):
                answer = session.get(url + PAGE, params={"filter": wanted}, timeout=60)
                assert answer.status_code in (200, TOO_SLOW), answer.text
                count += 1
    done.put(("lists", count))


def upload_packs(url: str, token: str, folder: str, stop: Event, done: multiprocessing.Queue) -> None:
    """Upload one pack after the other; says how many bytes went."""
    size, dot = 0, str(UUID(int=0))
    with HubClient(url, token) as client:
        while not stop.is_set():
            writer = PackWriter(Path(folder))
            for _ in range(16):
                data = os.urandom(PACK_BYTES // 16)
                writer.add(Kind.BLOB, digest(data), data)
            path = pack_path(Path(folder), writer.seal().hash)
            client.put_pack(dot, path.name, io.BytesIO(path.read_bytes()))
            size += path.stat().st_size
            path.unlink()
    done.put(("bytes", size))


def time_healthz(url: str, seconds: float) -> list[float]:
    """The milliseconds that each answer took."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    with requests.Session() as session:
        while (began := time.perf_counter()) < until:
            session.get(url + "/healthz", timeout=60)
            taken.append((time.perf_counter() - began) * 1e3)
            time.sleep(PAUSE_S)
    return taken


@contextmanager
def clients(hub: Hub, folder: Path, told: dict[str, float]):
    """The other clients, for as long as the block; what they did is in `told` afterwards."""
    stop, done = multiprocessing.Event(), multiprocessing.Queue()
    work = [(ask_for_lists, (hub.url, hub.token, SEED + number, stop, done)) for number in range(ASKING)]
    work.append((upload_packs, (hub.url, hub.token, str(folder), stop, done)))
    processes = [multiprocessing.Process(target=target, args=arguments) for target, arguments in work]
    for one in processes:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for _ in processes:
            what, count = done.get(timeout=120)
            told[what] = told.get(what, 0) + count
        for one in processes:
            one.join()


def waited_s(hub: Hub) -> float:
    """How long the hub's threads, ready to run, have waited for a processor so far."""
    tasks = Path(f"/proc/{hub.process.pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[1]) for one in tasks) / 1e9


def measure(hub: Hub, situation: str, seconds: float) -> Figure:
    """Time `/healthz` as things are."""
    waited, began = waited_s(hub), time.perf_counter()
    taken = sorted(time_healthz(hub.url, seconds))
    share = (waited_s(hub) - waited) / (time.perf_counter() - began)
    return Figure(
        situation=situation,
        p50_ms=round(statistics.median(taken), 2),
        p99_ms=round(taken[int(len(taken) * 0.99)], 2),
        max_ms=round(taken[-1], 2),
        asked=len(taken),
        waited=round(share * 100, 1),
    )


def run(data: Path, seconds: float) -> list[Figure]:
    """A hub, alone and then busy."""
    os.environ["DS_HUB_REQUESTS_PER_MINUTE"] = "0"  # the clients share a token and an address
    hub = Hub(data)
    told: dict[str, float] = {}
    try:
        measure(hub, "warming up", 1)
        alone = measure(hub, "alone", seconds)
        began = time.perf_counter()
        with clients(hub, data.with_name("packs-to-upload"), told):
            busy = measure(hub, "busy", seconds)
        took = time.perf_counter() - began
    finally:
        hub.process.terminate()
        hub.process.communicate()
    rates = {"lists_per_s": told["lists"] / took, "uploaded_mib_per_s": told["bytes"] / took / 2**20}
    values = {name: getattr(busy, name) for name in busy.__struct_fields__}
    return [alone, Figure(**values | {name: round(value, 1) for name, value in rates.items()})]


async def prepare(data: Path, count: int, say: Callable[[str], None]) -> None:
    """A hub's database with runs, filled where it is empty."""
    backend = Sqlite(data / "hub.db")
    migrate(backend)
    database = Database(backend)
    if await database.read(lambda c: key_of_first(c) is None):
        await fill(database, count, say)
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each situation is measured")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keeps the runs for a later time")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")
    options = parser.parse_args()
    with data_folder(options.data) as folder:
        (folder / "hub").mkdir(exist_ok=True)
        asyncio.run(prepare(folder / "hub", options.runs, lambda _text: None))
        figures = run(folder / "hub", options.seconds)
    for one in figures:
        values = {name: getattr(one, name) for name in one.__struct_fields__}
        text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
        print(json.dumps(values) if options.json else text)


if __name__ == "__main__":
    main()

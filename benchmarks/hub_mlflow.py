"""The same lists and searches asked of a hub's database and of MLflow's, in turn, with the same runs in both.

All runs are in one project here, and in one experiment there. MLflow runs in a process and a virtual environment of its
own, kept in the user's cache folder; what is timed there is `MlflowClient.search_runs` on its SqlAlchemyStore, in that
process and without HTTP, as ours is. Its runs are put into its tables in bulk: its API stores them one by one.
Both must answer with the same runs in the same order.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import msgspec
import platformdirs
from hub_data import SEED, batches
from hub_figures import Cost, Figure, figure
from msgspec import Struct

from dotscience.record import RunRecord

VERSION = "3.17.2"
ROUNDS = 20
SCRIPT = Path(__file__).with_name("hub_mlflow_search.py")
NEWEST = "attributes.start_time DESC"


class Question(Struct, frozen=True, kw_only=True):
    """One question in both languages; {optimizer} and {dataset} stand for values that differ from round to round.

    `metric` is what the runs are sorted by, the largest first; without one it is their start, the newest first.
    """

    name: str
    ours: str = ""
    theirs: str = ""
    metric: str | None = None


QUESTIONS = (
    Question(name="all"),
    Question(name="all, by accuracy", metric="accuracy"),
    Question(
        name="optimizer = x (20 %)",
        ours='param.optimizer = "optimizer_{optimizer}"',
        theirs="params.optimizer = 'optimizer_{optimizer}'",
    ),
    Question(name="loss > 1 (14 %)", ours="summary.loss > 1", theirs="metrics.loss > 1"),
    Question(
        name="2 conditions (0.4 %)",
        ours='param.optimizer = "optimizer_{optimizer}" and param.dataset = "dataset_{dataset}"',
        theirs="params.optimizer = 'optimizer_{optimizer}' and params.dataset = 'dataset_{dataset}'",
    ),
    Question(
        name="optimizer = x and loss > 1 (2.7 %), by accuracy",
        ours='param.optimizer = "optimizer_{optimizer}" and summary.loss > 1',
        theirs="params.optimizer = 'optimizer_{optimizer}' and metrics.loss > 1",
        metric="accuracy",
    ),
)

Ask = Callable[[str, str | None], Awaitable[tuple[Cost, list[str]]]]
"""Ours: from a filter and the metric to sort by to what a page took and the ids of its runs."""


class PeerError(Exception):
    """MLflow cannot be compared with; the text is for the person at the terminal."""


class Mlflow:
    """MLflow in a process of its own (`hub_mlflow_search.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def fill(self, count: int, say: Callable[[str], None]) -> None:
        """Store the first runs, where there are none."""
        if self._read()["runs"] != 0:
            return
        for number, batch in enumerate(batches(count), start=1):
            self._ask(store=[_as_theirs(record) for record in batch])
            if number % 100 == 0:
                say(f"{number * len(batch):,} runs are stored for MLflow")
        self._ask(finish=True)

    def search(self, wanted: str, metric: str | None) -> tuple[Cost, list[str]]:
        """A page of runs: what it took, and their ids."""
        found = self._ask(filter=wanted, order=NEWEST if metric is None else f"metrics.{metric} DESC")
        return Cost(found["wall_ms"], found["cpu_ms"]), found["ids"]

    def _ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError("MLflow ended; what it wrote above says why")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def mlflow(url: str, folder: Path, say: Callable[[str], None]) -> Iterator[Mlflow]:
    """MLflow on a database, for as long as the block; `folder` is where it runs."""
    command: list[str | Path] = [_python(say), SCRIPT, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder) as process:
        try:
            yield Mlflow(process)
        finally:
            process.terminate()


async def compare(ask: Ask, peer: Mlflow, *, runs: int, backend: str) -> list[Figure]:
    """Every question to both in turn, and once before the rounds that count."""
    chance = random.Random(SEED)
    costs: dict[str, list[tuple[Cost, Cost, int]]] = {one.name: [] for one in QUESTIONS}
    for _ in range(ROUNDS + 1):
        values = {"optimizer": chance.randrange(5), "dataset": chance.randrange(50)}
        for one in QUESTIONS:
            ours, ids = await ask(one.ours.format(**values), one.metric)
            theirs, their_ids = peer.search(one.theirs.format(**values), one.metric)
            if ids != their_ids:
                raise PeerError(f"{one.name}: the two found different runs: {ids[:3]}… and {their_ids[:3]}…")
            costs[one.name].append((ours, theirs, len(ids)))
    figures = [
        made for name, taken in costs.items() for made in _figures(taken[1:], query=name, runs=runs, backend=backend)
    ]
    return [*figures, *_means(figures)]


def _figures(taken: list[tuple[Cost, Cost, int]], **named: Any) -> Iterator[Figure]:
    named["rows"] = round(median(rows for _, _, rows in taken))
    ours = figure([one for one, _, _ in taken], engine="ours", **named)
    theirs = figure([other for _, other, _ in taken], engine=f"mlflow {VERSION}", **named)
    yield ours
    yield msgspec.structs.replace(theirs, ratio=round(theirs.p50_ms / ours.p50_ms, 1))


def _means(figures: list[Figure]) -> Iterator[Figure]:
    """Geometric means, as is usual for ratios (Fleming and Wallace, CACM 29(3), 1986): each question counts alike."""
    for engine in dict.fromkeys(one.engine for one in figures):
        some = [one for one in figures if one.engine == engine]
        ratios = [one.ratio for one in some if one.ratio is not None]
        yield msgspec.structs.replace(
            some[0],
            query="geometric mean",
            p50_ms=round(geometric_mean(one.p50_ms for one in some), 2),
            p95_ms=round(geometric_mean(one.p95_ms for one in some), 2),
            cpu_ms=round(geometric_mean(one.cpu_ms for one in some), 2),
            ratio=round(geometric_mean(ratios), 1) if ratios else None,
        )


def _as_theirs(record: RunRecord) -> dict[str, Any]:
    """A run as MLflow knows it: its parameters and tags are texts, its times milliseconds."""
    assert record.started_at is not None
    assert record.ended_at is not None
    return {
        "id": record.run_id.replace("-", ""),
        "started": round(record.started_at.timestamp() * 1000),
        "ended": round(record.ended_at.timestamp() * 1000),
        "params": {name: str(value) for name, value in record.parameters.items()},
        "metrics": record.summary,
        "tags": record.labels,
    }


def _python(say: Callable[[str], None]) -> Path:
    """Of an environment with MLflow, made where it is missing: it has many dependencies, and needs none of ours."""
    folder = platformdirs.user_cache_path("dotscience-benchmarks") / f"mlflow-{VERSION}"
    python = folder / "bin/python"
    if (folder / "bin/mlflow").exists():
        return python
    say(f"installing MLflow {VERSION} into {folder}")
    make: list[str | Path] = [sys.executable, "-m", "venv", folder]
    pip: list[str | Path] = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in (make, [*pip, f"mlflow=={VERSION}", "psycopg[binary]"]):
        if subprocess.run(command, check=False).returncode != 0:
            raise PeerError(f"MLflow {VERSION} cannot be installed into {folder}")
    return python

"""MLflow's side of `hub_mlflow.py`, run by the Python of a virtual environment that has MLflow and nothing of ours.

    python hub_mlflow_search.py DATABASE_URL

Makes MLflow's schema, says how many runs there are, and then answers each line of stdin, a JSON object, with one on
stdout: {"store": [run, …]} puts runs into MLflow's tables, {"finish": true} has the database look at what it holds, and
{"filter": …, "order": …} searches with MLflow's client and says what that took and which runs came.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

PAGE = 50
EXPERIMENT = "benchmark"
TABLES = ("runs", "params", "metrics", "latest_metrics", "tags")


class Peer:
    """MLflow on one database, with one experiment."""

    def __init__(self, url: str) -> None:
        store = SqlAlchemyStore(url, "./artifacts")
        found = store.get_experiment_by_name(EXPERIMENT)
        self._experiment = store.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        self._client = MlflowClient(tracking_uri=url)
        self._engine = sa.create_engine(url)
        known = sa.MetaData()
        known.reflect(self._engine, only=TABLES)
        self._tables = {name: known.tables[name] for name in TABLES}

    def count(self) -> int:
        """How many runs there are."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(self._tables["runs"])) or 0

    def store(self, runs: list[dict]) -> None:
        """Put runs into the tables, as MLflow has those that have ended."""
        with self._engine.begin() as connection:
            for name, rows in self._rows(runs).items():
                connection.execute(sa.insert(self._tables[name]), rows)

    def finish(self) -> None:
        """Have the database gather its statistics, and tidy up, as a server does by itself some time later."""
        with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            is_server = self._engine.dialect.name == "postgresql"
            connection.exec_driver_sql("VACUUM ANALYZE" if is_server else "ANALYZE")

    def search(self, wanted: str, order: str) -> dict:
        """The first page of runs."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = self._client.search_runs([self._experiment], wanted, order_by=[order], max_results=PAGE)
        taken = {"wall_ms": (time.perf_counter() - wall) * 1e3, "cpu_ms": (time.process_time() - cpu) * 1e3}
        return taken | {"ids": [run.info.run_id for run in found]}

    def _rows(self, runs: list[dict]) -> dict[str, list[dict]]:
        metrics = [
            {"run_uuid": run["id"], "key": key, "value": value, "timestamp": run["ended"], "step": 0, "is_nan": False}
            for run in runs
            for key, value in run["metrics"].items()
        ]
        return {
            "runs": [self._run(run) for run in runs],
            "params": _pairs(runs, "params"),
            "metrics": metrics,
            "latest_metrics": metrics,
            "tags": _pairs(runs, "tags"),
        }

    def _run(self, run: dict) -> dict:
        return {
            "run_uuid": run["id"],
            "name": f"run {run['id']}",
            "source_type": "LOCAL",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "owner",
            "status": "FINISHED",
            "start_time": run["started"],
            "end_time": run["ended"],
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": f"./artifacts/{self._experiment}/{run['id']}/artifacts",
            "experiment_id": int(self._experiment),
        }


def _pairs(runs: list[dict], of: str) -> list[dict]:
    return [{"run_uuid": run["id"], "key": key, "value": value} for run in runs for key, value in run[of].items()]


def answer(peer: Peer, asked: dict) -> dict:
    """What a line asks for."""
    if "store" in asked:
        peer.store(asked["store"])
        return {}
    if "finish" in asked:
        peer.finish()
        return {}
    return peer.search(asked["filter"], asked["order"])


def talk(reply: Callable[[dict], None]) -> None:
    peer = Peer(sys.argv[1])
    reply({"runs": peer.count()})
    for line in sys.stdin:
        reply(answer(peer, json.loads(line)))


def main() -> None:
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)  # whatever MLflow prints
        talk(lambda reply: print(json.dumps(reply), file=replies, flush=True))


if __name__ == "__main__":
    main()

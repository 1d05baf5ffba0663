"""How fast a hub takes points of metrics in, and draws curves of them.

    python benchmarks/hub_points.py [--points 1000000] [--json]

A real `ds hub` on loopback with SQLite; every answer is durable. One run has two metrics with half of the points each,
sent in batches of 5,000 by one client that waits for each answer.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from hub_ingest import Hub, running_hub

from dotscience.client.hub import HubClient
from dotscience.points import Point
from dotscience.record import RunRecord, encode_json

BATCH = 5_000
ROUNDS = 11
AT = 1_790_000_000_000_000


def batches(points: int) -> Iterator[list[Point]]:
    for start in range(0, points // 2, BATCH // 2):
        steps = range(start, start + BATCH // 2)
        yield [
            (name, step, AT + step, math.sin(step / 1_000) + step % 7)
            for step in steps
            for name in ("loss", "accuracy")
        ]


def measure(hub: Hub, points: int) -> Iterator[tuple[str, float, str]]:
    with HubClient(hub.url, hub.token) as client:
        dot, run = str(uuid4()), str(uuid4())
        project = client.create_project("benchmark", dot_id=dot).id
        record = encode_json(RunRecord(run_id=run, started_at=datetime.now(UTC)))
        client.report_points(dot, run, state="running", start=0, end=0, points=[], record=record)
        cpu, began, sent = hub.cpu_s(), time.perf_counter(), 0
        for number, batch in enumerate(batches(points)):
            client.report_points(dot, run, state="running", start=number, end=number + 1, points=batch)
            sent += len(batch)
        yield "points taken in", sent / (time.perf_counter() - began), "points/s"
        yield "points taken in, hub", 1e6 * (hub.cpu_s() - cpu) / sent, "µs CPU a point"
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            client.metrics(project, run, names=["loss"], points=1_000)
            times.append(1_000 * (time.perf_counter() - began))
        yield f"curve of {sent // 2:,} points, sampled", sorted(times)[ROUNDS // 2], "ms"
        began = time.perf_counter()
        list(client.live_runs(project))
        yield "list of running runs", 1_000 * (time.perf_counter() - began), "ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="one object a line")
    arguments = parser.parse_args()
    with running_hub() as hub:
        for case, value, unit in measure(hub, arguments.points):
            if arguments.json:
                print(json.dumps({"case": case, "value": round(value, 3), "unit": unit}))
            else:
                print(f"{case:42} {value:12,.1f} {unit}")


if __name__ == "__main__":
    main()

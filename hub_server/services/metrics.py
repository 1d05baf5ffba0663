"""What the hub measures of itself, in the text format that Prometheus reads.

Labels only ever have values that the program itself names: operations, statuses and kinds of work, never what clients
send, so that the number of series does not grow with use.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from dotscience.errors import StorageUnavailable
from hub_server.services.events import EventBus
from hub_server.store import totals
from hub_server.store.database import Access, Database
from hub_server.thread_pool import ThreadPool

SWITCHING_PROTOCOLS = 101
REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DATABASE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The measurements of one hub; its methods may be called from any thread."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._gauge("hub_info", "The version of the hub.", "version").labels(version).set(1)
        self._requests = Counter(
            "dotscience_requests", "Requests that were answered.", ["operation", "status"], registry=self.registry
        )
        self._durations = Histogram(
            "dotscience_request_duration_seconds",
            "From the head of a request to the end of its answer; WebSockets are left out.",
            ["operation"],
            buckets=REQUEST_S,
            registry=self.registry,
        )
        self._queue = self._gauge("database_queue", "Work that waits for the database or is being done.", "access")
        self._waits = self._database_histogram("wait", "How long work waited for a thread of the database.")
        self._work = self._database_histogram("work", "How long it took; for writes with the others of its group.")
        self._runs = Counter("dotscience_runs_ingested", "Runs that came since the start.", registry=self.registry)

    def request_ended(self, operation: str, status: int, seconds: float) -> None:
        """A request to an operation was answered."""
        self._requests.labels(operation, str(status)).inc()
        if status != SWITCHING_PROTOCOLS:
            self._durations.labels(operation).observe(seconds)

    def runs_came(self, count: int) -> None:
        """So many runs were stored."""
        self._runs.inc(count)

    def work_queued(self, access: Access) -> None:
        """Work for the database waits from now on."""
        self._queue.labels(access).inc()

    def work_ended(self, access: Access, waited_s: float, worked_s: float) -> None:
        """It is done."""
        self._queue.labels(access).dec()
        self._waits.labels(access).observe(waited_s)
        self._work.labels(access).observe(worked_s)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"dotscience_{name}", meaning, labels, registry=self.registry)

    def _database_histogram(self, what: str, meaning: str) -> Histogram:
        name = f"dotscience_database_{what}_seconds"
        return Histogram(name, meaning, ["access"], buckets=DATABASE_S, registry=self.registry)


class MetricsReport:
    """All measurements as text, with what the database and the event bus say at that moment. Belongs to the loop."""

    def __init__(self, metrics: Metrics, database: Database, events: EventBus, workers: ThreadPool) -> None:
        self._metrics = metrics
        self._database = database
        self._events = events
        self._workers = workers
        names = {
            "up": "Whether the database answers.",
            "projects": "Projects.",
            "runs": "Runs.",
            "packs": "Packs that are kept.",
            "pack_bytes": "The size of the packs that are kept.",
            "damaged_packs": "Packs that were found damaged and not mended yet.",
            "listeners": "WebSockets that listen to events.",
        }
        self._gauges = {
            name: Gauge(f"dotscience_{name}", meaning, registry=metrics.registry) for name, meaning in names.items()
        }

    async def text(self) -> bytes:
        """The report; what the database says is what it said last, where it does not answer."""
        self._gauges["listeners"].set(self._events.listening)
        try:
            found = await self._database.read(totals.count)
        except StorageUnavailable:
            self._gauges["up"].set(0)
        else:
            self._gauges["up"].set(1)
            for name, value in found.items():
                self._gauges[name].set(value)
        return await self._workers.run(lambda: generate_latest(self._metrics.registry))

"""One round of reports about runs that are not pushed yet. Blocking calls.

Everything can be repeated, and nothing is remembered that the hub would not say again: how far it has come with a run
is what counts, and is asked where it is not known (docs/design/live-metrics.md, 3).
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from committer.log import get_logger
from committer.storage.index import disk_errors
from committer.sync.journal import Journal
from committer.sync.points import Piece, PointsFile, drop_beyond, points_files
from committer.sync.transfer import Target
from dotscience.client.hub import HubClient
from dotscience.errors import Conflict, Invalid, WireFormatError
from dotscience.points import ReportedState

log = get_logger(__name__)

ALIVE_S = 20.0
"""A run of which there is nothing new is reported so often all the same: the hub then knows that it goes on."""

BATCHES_PER_ROUND = 20
"""Of one run, so that others get their turn."""


class Told(Struct):
    """What the hub knows of a run: up to which position it has the points, the run's state, and when it was told."""

    received: int
    state: ReportedState
    at: float


class Situation(Struct, frozen=True, kw_only=True):
    """Where a run is: whether its process has let go of the file, and whether nothing will change any more."""

    state: ReportedState
    is_let_go: bool
    is_over: bool


class Reporter:
    """Reports the runs of one workspace; every method runs on one thread."""

    def __init__(self, folder: Path, store_folder: Path, *, keep_bytes: int) -> None:
        """`folder` has the files, `keep_bytes` bounds those that wait for a hub after their runs are over."""
        self._folder = folder
        self._store_folder = store_folder
        self._keep_bytes = keep_bytes
        self._told: dict[str, Told] = {}
        self._given_up: set[str] = set()

    def forget(self) -> None:
        """The hub is another one."""
        self._told.clear()
        self._given_up.clear()

    def round(self, target: Target | None) -> bool:
        """Report every run; whether there are any to report before long.

        Raises:
            HubUnavailable: the hub does not answer; try again later.
            HubError: it refuses.
        """
        dropped = drop_beyond(self._folder, self._keep_bytes)
        if dropped:
            log.warning("points.dropped", runs=len(dropped), kept_bytes=self._keep_bytes)
        paths = [path for path in points_files(self._folder) if path.name not in self._given_up]
        if target is None or not paths:
            return False
        with (
            HubClient(target.url, target.token) as hub,
            disk_errors(self._store_folder),
            closing(Journal(self._store_folder)) as journal,
        ):
            for path in paths:
                self._report(hub, target.dot_id, path, journal)
        return True

    def _report(self, hub: HubClient, dot_id: str, path: Path, journal: Journal) -> None:
        try:
            with PointsFile(path) as file:
                self._bring_up_to_date(hub, dot_id, file, self._situation(file, journal))
        except FileNotFoundError:
            return
        except (OSError, WireFormatError, Invalid) as error:
            log.error("points.unusable", file=path.name, error=str(error))  # noqa: TRY400 - the message says it all
            self._given_up.add(path.name)

    def _bring_up_to_date(self, hub: HubClient, dot_id: str, file: PointsFile, now: Situation) -> None:
        for _ in range(BATCHES_PER_ROUND):
            told = self._told.get(file.run_id)
            if told is None:
                self._introduce(hub, dot_id, file, now.state)
                continue
            piece = file.read(told.received, to_the_end=now.is_let_go)
            if piece.end == told.received and not _is_due(told, now.state):
                break
            self._send(hub, dot_id, file, now.state, piece)
            if not piece.more:
                break
        told = self._told.get(file.run_id)
        if now.is_over and told is not None and told.state == now.state and told.received >= file.size:
            file.path.unlink(missing_ok=True)
            del self._told[file.run_id]

    def _situation(self, file: PointsFile, journal: Journal) -> Situation:
        """In this order: a process lets go after the sidecar is there, which goes after the journal has the run."""
        is_let_go = not file.is_held()
        has_sidecar = (self._folder / f"{file.run_id}.json").exists()
        known = [run.state for run in journal.outlines([file.run_id])]
        if has_sidecar or known:
            is_settled = bool(known) and known[0] in ("pushed", "earlier")
            return Situation(state="ended", is_let_go=is_let_go, is_over=is_let_go and is_settled)
        return Situation(state="lost" if is_let_go else "running", is_let_go=is_let_go, is_over=is_let_go)

    def _introduce(self, hub: HubClient, dot_id: str, file: PointsFile, state: ReportedState) -> None:
        """Tell the hub of the run, and learn how far it has come."""
        answer = hub.report_points(dot_id, file.run_id, state=state, start=0, end=0, points=[], record=file.record())
        self._told[file.run_id] = Told(answer.received, state, time.monotonic())

    def _send(self, hub: HubClient, dot_id: str, file: PointsFile, state: ReportedState, piece: Piece) -> None:
        if piece.unreadable:
            log.warning("points.unreadable", run_id=file.run_id, lines=piece.unreadable)
        try:
            answer = hub.report_points(
                dot_id, file.run_id, state=state, start=piece.start, end=piece.end, points=piece.points
            )
        except Conflict as error:
            log.warning("points.out_of_step", run_id=file.run_id, error=str(error))
            del self._told[file.run_id]
            return
        self._told[file.run_id] = Told(answer.received, state, time.monotonic())


def _is_due(told: Told, state: ReportedState) -> bool:
    return told.state != state or time.monotonic() - told.at >= ALIVE_S

"""What the committer says about itself: one truthful state, derived from facts, at every moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from committer.sync.journal import Counts
from committer.sync.uploads import NOTHING_SENT, Sent
from dotscience.errors import ConfigError, DiskFull, SnapshotError
from dotscience.wording import size

State = Literal["starting", "watching", "snapshotting", "committed", "pushing", "pushed", "unreachable", "error"]


HOLDS_COMMITS = frozenset({"disk-full", "settings", "snapshot-failed", "commit-failed", "copied-workspace", "internal"})
"""The types of problems that keep runs from being committed; all others leave the rest to go on."""


HARMLESS = frozenset(
    {
        "notebook-unreadable",
        "zfs-send-failed",
        "zfs-send-refused",
        "zfs-send-unavailable",
        "runs-refused",
        "contents-lost",
    }
)
"""The types of problems that keep nothing else from being committed and pushed: they are told beside the state."""


MAX_PROBLEMS = 50


class HubStatus(Struct, frozen=True, kw_only=True):
    """The hub that the workspace is bound to, as of the last attempt to reach it."""

    url: str
    project_id: str
    project_name: str
    reachable: bool = False
    unreachable_since: datetime | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong and what to do about it."""

    type: str
    detail: str
    hint: str
    notebook: str | None = None


class Refused(Struct, frozen=True):
    """A way of reading the workspace that is not to be had here, and why."""

    name: str
    reason: str


class ReadingStatus(Struct, frozen=True, kw_only=True):
    """How snapshots read the workspace: what finds changes, whether that is by watching, and how still it is held."""

    name: str
    watching: bool
    consistency: str
    refused: list[Refused]


class Status(Struct, frozen=True, kw_only=True):
    """The answer of `GET /v1/status`.

    `pushed` of `push_total` commits of the present burst are on the hub. While their packs are sent, `push_bytes_done`
    of `push_bytes_total` bytes are; both are 0 otherwise. `problems` has everything that is wrong, the most severe
    first, which is `error`, too; at most `MAX_PROBLEMS`.
    """

    root: str
    dot_id: str
    state: State
    message: str
    error: Problem | None
    hub: HubStatus | None
    head: str | None
    head_at: datetime | None
    pushed: int
    unpushed: int
    push_total: int
    runs: int
    pending_runs: int
    earlier_runs: int
    consistency: str | None
    version: str
    reading: ReadingStatus | None = None
    push_bytes_done: int = 0
    push_bytes_total: int = 0
    problems: list[Problem] = []


class Facts(Struct, kw_only=True):
    """What the state follows from; the service keeps these up to date on the event loop.

    `problems` are keyed by what they are about, so that each is lifted by what solves it. `pushed_before` is how many
    commits were on the hub when the present burst of pushing began.
    """

    root: str
    dot_id: str
    version: str
    started: bool = False
    snapshotting: bool = False
    pushing: bool = False
    sent: Sent = NOTHING_SENT
    polling: bool = False
    reading: ReadingStatus | None = None
    hub: HubStatus | None = None
    head: str | None = None
    head_at: datetime | None = None
    consistency: str | None = None
    counts: Counts = Counts()
    pushed_before: int = 0
    problems: dict[str, Problem] = field(default_factory=dict)

    @property
    def unpushed(self) -> int:
        """How many commits the hub does not have."""
        return self.counts.commits - self.counts.pushed

    def set_counts(self, counts: Counts) -> None:
        """Take new counts over; a burst begins when there was nothing left to push."""
        if self.unpushed == 0 or counts.pushed < self.pushed_before:
            self.pushed_before = min(self.counts.pushed, counts.pushed)
        self.counts = counts

    def status(self) -> Status:
        """The status at this moment."""
        state = _state(self)
        problems = _by_severity(self.problems.values())
        problem = problems[0] if problems else None
        sent = self.sent if state == "pushing" else NOTHING_SENT
        return Status(
            root=self.root,
            dot_id=self.dot_id,
            state=state,
            message=_message(state, self, problem),
            error=problem,
            hub=self.hub,
            head=self.head,
            head_at=self.head_at,
            pushed=self.counts.pushed - self.pushed_before,
            unpushed=self.unpushed,
            push_total=self.counts.commits - self.pushed_before,
            runs=self.counts.runs,
            pending_runs=self.counts.pending,
            earlier_runs=self.counts.earlier,
            consistency=self.consistency,
            version=self.version,
            reading=self.reading,
            push_bytes_done=sent.done,
            push_bytes_total=sent.total,
            problems=problems[:MAX_PROBLEMS],
        )


def _by_severity(problems: Collection[Problem]) -> list[Problem]:
    """First those that keep runs from being committed, last the harmless; among equals the oldest first."""
    return sorted(problems, key=lambda one: (one.type not in HOLDS_COMMITS, one.type in HARMLESS))


def _state(facts: Facts) -> State:
    """The most urgent thing first."""
    hub, unpushed = facts.hub, facts.unpushed
    ordered: list[tuple[State, bool]] = [
        ("snapshotting", facts.snapshotting),
        ("error", any(problem.type not in HARMLESS for problem in facts.problems.values())),
        ("starting", not facts.started),
        ("unreachable", hub is not None and hub.unreachable_since is not None),
        ("pushing", facts.pushing and unpushed > 0),
        ("committed", hub is not None and unpushed > 0),
        ("pushed", hub is not None and facts.head is not None),
    ]
    return next((state for state, holds in ordered if holds), "watching")


def _message(state: State, facts: Facts, problem: Problem | None) -> str:
    match state:
        case "error" if problem is not None:
            text = problem.detail
        case "starting":
            text = "Looking through the workspace"
        case "snapshotting":
            text = "Taking a snapshot of the workspace"
        case "pushing":
            text = _pushing(facts)
        case "unreachable":
            text = _unreachable(facts)
        case "committed":
            text = f"{_count(facts.unpushed, 'commit')} kept here, to be pushed"
        case "pushed":
            text = "Everything is pushed"
        case _:
            text = _watching(facts)
    if facts.counts.pending and state in ("pushed", "watching", "committed"):
        text += f"; {_count(facts.counts.pending, 'run')} waiting for the notebook to be saved"
    if facts.polling:
        text += " (looking for changes at intervals only)"
    return text


def _pushing(facts: Facts) -> str:
    done, total = facts.counts.pushed - facts.pushed_before, facts.counts.commits - facts.pushed_before
    text = f"Pushing commit {min(done + 1, total)} of {total}"
    return f"{text} ({size(facts.sent.done)} of {size(facts.sent.total)})" if facts.sent.total else text


def _unreachable(facts: Facts) -> str:
    since = facts.hub.unreachable_since if facts.hub else None
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    kept = f"; {_count(facts.unpushed, 'commit')} kept here until it is" if facts.unpushed else ""
    return f"The hub has not been reachable{when}{kept}"


def _watching(facts: Facts) -> str:
    if facts.hub is None:
        return f"Watching; {_count(facts.counts.commits, 'commit')} kept here, no hub is bound"
    return "Watching"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def problem_of(error: Exception, prefix: str = "") -> Problem:
    """What is wrong when a commit, or entering what was noticed, failed. Nothing is lost then; all is tried again."""
    match error:
        case DiskFull():
            kind, hint = (
                "disk-full",
                "Make room on this disk; the runs are kept and committed as soon as there is some.",
            )
        case ConfigError():
            kind, hint = "settings", "Correct the file; the runs are kept until then."
        case SnapshotError():
            kind, hint = "snapshot-failed", "The runs are kept and tried again; the committer's log has the details."
        case _:
            kind, hint = "commit-failed", "The runs are kept and tried again; the committer's log has the details."
    return Problem(type=kind, detail=f"{prefix}{error}", hint=hint)


def refused_problem(reasons: Mapping[str, str]) -> Problem | None:
    """What to do about runs that the hub does not take, by their ids; one is named."""
    if not reasons:
        return None
    run_id, reason = next(iter(reasons.items()))
    more = f" (and {_count(len(reasons) - 1, 'more run')})" if len(reasons) > 1 else ""
    return Problem(
        type="runs-refused",
        detail=f"The hub does not take run {run_id}{more}: {reason}",
        hint="Everything else is pushed, with the run's files; the run itself stays here. To have it on the hub, record"
        " it again with less in it: large values belong in a file that is named with ds.output(path).",
    )


def lost_problem(files: Mapping[str, str]) -> Problem | None:
    """What to do about contents that neither the hub has nor this disk, in words by commit; one is named."""
    if not files:
        return None
    more = f"; and files of {_count(len(files) - 1, 'more commit')}" if len(files) > 1 else ""
    return Problem(
        type="contents-lost",
        detail=f"The hub has lost contents that were dropped here: {next(iter(files.values()))}{more}",
        hint="All runs and later commits are pushed. A newer backup of the hub may have these contents; the committer's"
        " log names all files.",
    )


def internal_problem(error: Exception) -> Problem:
    """What is wrong when an error was not foreseen."""
    return Problem(
        type="internal",
        detail=f"An internal error occurred ({type(error).__name__}: {error})",
        hint="The committer goes on. Please report this with the committer's log.",
    )

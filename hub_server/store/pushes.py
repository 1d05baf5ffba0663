"""The one transaction of a push: commit, runs, the move of the branch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from sqlalchemy import Connection

from committer.storage.objects import Kind
from hub_server.domain.problems import Problem
from hub_server.store import commits, objects, projects, runs
from hub_server.store.projects import GcState


class Push(Struct, frozen=True, kw_only=True):
    """A commit that is complete, with its runs decoded.

    `expected_parent` is where its branch must point, None where it must not exist. `complete` lists the objects that
    were found complete on the way, by the kind as which they were read, `unused` those that were there without a commit
    that needs them; both hold as long as garbage collection has not gone on since `gc`.
    """

    project_key: int
    commit: commits.NewCommit
    expected_parent: bytes | None
    runs: list[runs.NewRun]
    complete: Mapping[Kind, list[bytes]]
    unused: Collection[bytes]
    gc: GcState


class CollectedMeanwhile(Exception):
    """What a push found to be here may have been deleted since; nothing was stored."""


class Applied(Struct, frozen=True):
    """What a push changed: whether the branch moved, and the ids of the runs that are new to the project."""

    moved: bool
    new_runs: list[str]


def apply_push(connection: Connection, push: Push) -> Applied:
    """Store the push; nothing changes where its commit was pushed to this branch before, even if that has moved on.

    Raises:
        Problem: head-moved; nothing was stored.
        CollectedMeanwhile: check again that everything is here.
    """
    new = push.commit
    if projects.gc_state(connection, new.dot_id) != push.gc:
        raise CollectedMeanwhile
    pushed_to = commits.pushed_to(connection, new.dot_id, new.hash)
    head = commits.branch_head(connection, new.dot_id, new.branch)
    if new.branch == pushed_to or new.hash == head:
        return Applied(moved=False, new_runs=[])
    if head != push.expected_parent:
        raise _head_moved(new.branch, head)
    added: list[str] = []
    if pushed_to is None:
        key = commits.add_commit(connection, new)
        place = runs.Ingest(project_key=push.project_key, commit_key=key, commit_id=new.hash.hex(), now=new.pushed_at)
        added = runs.add_runs(connection, place, push.runs)
    commits.move_head(connection, new.dot_id, new.branch, new.hash, new.pushed_at)
    objects.renew_leases(connection, push.project_key, push.unused)
    for kind, names in push.complete.items():
        objects.mark_complete(connection, push.project_key, kind, names)
    return Applied(moved=True, new_runs=added)


def _head_moved(branch: str, head: bytes | None) -> Problem:
    at = "does not exist" if head is None else f"is at {head.hex()}"
    return Problem(
        "head-moved",
        f"branch {branch!r} {at}, not where the push expects it; push to a branch of your own",
        extra={"head": None if head is None else head.hex()},
    )

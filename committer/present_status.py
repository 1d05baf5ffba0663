"""The status of a workspace, whether a committer runs or not; imports no more than the answer needs."""

from __future__ import annotations

from typing import Any

import msgspec

from committer.identity import store_folder
from committer.settings import CommitterSettings
from committer.status import Facts, HubStatus, Problem
from committer.storage.index import INDEX
from committer.sync.journal import Journal
from dotscience.client.committer import CommitterClient
from dotscience.errors import CommitterUnavailable
from dotscience.version import __version__
from dotscience.workspace import IN_PLACE_DIR, Workspace

STOPPED = "stopped"
"""The state of a workspace that has no committer, which therefore cannot say so itself."""


def present_status(workspace: Workspace, settings: CommitterSettings) -> dict[str, Any]:
    """The status that the living committer gives, or what the journal says where none runs."""
    try:
        found = CommitterClient(workspace.root).status()
    except CommitterUnavailable:
        found = _status_from_journal(workspace, settings)
    return found | {"problems": [*found["problems"], *_interrupted_checkout(workspace)]}


def _interrupted_checkout(workspace: Workspace) -> list[dict[str, Any]]:
    if not (workspace.state_dir / IN_PLACE_DIR).is_dir():
        return []
    from committer.storage.in_place import interrupted

    plan = interrupted(workspace.state_dir)
    if plan is None:
        return []
    commit, saved = plan.commit[:12], plan.saved[:12]
    problem = Problem(
        type="checkout-interrupted",
        detail=f"A checkout of {commit} in this folder was interrupted: some files are of it, the others as before",
        hint=f"Finish it by the same command, or undo it: ds checkout {saved} --in-place",
    )
    return [msgspec.to_builtins(problem)]


def _status_from_journal(workspace: Workspace, settings: CommitterSettings) -> dict[str, Any]:
    hub = workspace.hub
    facts = Facts(
        root=str(workspace.root),
        dot_id=workspace.dot_id,
        version=__version__,
        hub=HubStatus(url=hub.url, project_id=hub.project_id, project_name=hub.project_name) if hub else None,
    )
    folder = store_folder(workspace, settings.state_dir)
    if (folder / INDEX).is_file():
        _read_journal(facts, Journal(folder))
    described: dict[str, Any] = msgspec.to_builtins(facts.status())
    return described | {"state": STOPPED, "message": "No committer runs; start one with `ds committer` or `ds up`"}


def _read_journal(facts: Facts, journal: Journal) -> None:
    try:
        facts.set_counts(journal.counts())
        head = journal.head()
        facts.head, facts.head_at = head.id if head else None, journal.head_at()
        facts.consistency = journal.get("consistency")
    finally:
        journal.close()

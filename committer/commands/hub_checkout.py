"""`ds checkout` of a run or commit that a hub has, written straight from there, without a tracked folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from committer.commands.checkout import folder_name, overwritten_below, write_into
from dotscience import wording
from dotscience.errors import NoSuchCommit, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.client.address import DashboardPage
    from dotscience.client.hub import HubClient, Project
    from dotscience.record import Commit


WHOLE_IDS = (36, 64)
"""How long the ids of runs and of commits are."""


class _Named(NamedTuple):
    """What is to be written: a commit of a project, and the run by which it was found, if by one."""

    project: Project
    commit: str
    run: str | None

    @property
    def short(self) -> str:
        return wording.short(self.run or self.commit)


def checkout_from(
    name: str, source: str, path: str, target: Path | None, *, force: bool, keep_special: bool
) -> dict[str, Any]:
    """Write what the run or commit `name` has into `target`, else into a folder that is named after it.

    `source` is the address of a hub or the URL of a page of a project; so may `name` be, of a run or commit.
    """
    client, page = _open(source)
    with client:
        found = _find(client, name, page)
        target = target or Path(f"{folder_name(found.project.name)}-{found.short}")
        return _write(client, found, path, target, force=force, keep_special=keep_special)


def _open(source: str) -> tuple[HubClient, DashboardPage | None]:
    from dotscience.cli.hub_access import own_account, reader_of
    from dotscience.client.address import EXPECTED, is_hub_address, parse_page

    page = parse_page(source)
    if page is not None:
        return reader_of(page.hub).client, page
    if not is_hub_address(source):
        raise click.UsageError(f"--from is the URL of a project's page, or that of a hub: {EXPECTED}")
    return own_account(source.rstrip("/")), None


def _find(client: HubClient, name: str, page: DashboardPage | None) -> _Named:
    """What `name` means, in the project of a page or in any that the user sees.

    Raises:
        NoSuchCommit: nothing is called that, or the beginning of an id is that of several.
    """
    candidates = list(islice(_candidates(client, name, page), 1 if len(name) in WHOLE_IDS else 2))
    where = f"project {page.project} of {page.hub}" if page else client.url
    if not candidates:
        raise NoSuchCommit(f"{where} has no run and no commit {name!r} that you can see")
    if len(candidates) > 1:
        raise NoSuchCommit(f"{name!r} is in more than one project of {where}; give the URL of one after --from")
    return candidates[0]


def _candidates(client: HubClient, name: str, page: DashboardPage | None) -> Iterator[_Named]:
    """What `name` can mean, at most one commit in each project."""
    from dotscience.cli.hub_access import project_at

    for project in client.projects() if page is None else [project_at(client, page.project)]:
        found = _in_project(client, project, name)
        if found is not None:
            yield found


def _in_project(client: HubClient, project: Project, name: str) -> _Named | None:
    from committer.history import HEAD
    from dotscience.cli.short_ids import commit_named, run_named

    if name == HEAD:
        return None if project.head is None else _Named(project, project.head, None)
    try:
        run = client.run(project.id, run_named(client, project.id, name.lower()))
    except NotFound:
        pass
    else:
        if run["commit"] is None:
            raise NoSuchCommit(f"the run {run['id']} is in no commit, so there is nothing to write")
        return _Named(project, run["commit"], run["id"])
    try:
        commit = client.commit(project.id, commit_named(client, project.id, name.lower()))
    except NotFound:
        return None
    return _Named(project, commit["id"], None)


def _write(
    client: HubClient, found: _Named, path: str, target: Path, *, force: bool, keep_special: bool
) -> dict[str, Any]:
    from committer.history import overwritten_files
    from committer.storage.codec import is_hex_digest
    from committer.storage.objects import Kind
    from committer.storage.reader import resolve
    from committer.sync.object_download import HubReader, ObjectDownload
    from dotscience.client.problems import not_a_hub

    if not is_hex_digest(found.commit):
        raise not_a_hub(client.url)
    reader = HubReader(ObjectDownload(client, found.project.dot_id or ""))
    commit = _commit(reader, found.commit)
    entry = resolve(reader, commit.root, path)
    reader.prepare(entry, [(Kind.RUN, record) for _, record in commit.runs])
    overwritten = overwritten_files(reader, commit, found.run or found.commit)
    return write_into(
        reader,
        entry,
        target,
        commit=found.commit,
        path=path,
        overwritten=overwritten_below(overwritten, path),
        force=force,
        keep_special=keep_special,
    )


def _commit(reader: Any, name: str) -> Commit:
    from committer.storage.objects import decode_commit

    return decode_commit(reader.get(bytes.fromhex(name)))

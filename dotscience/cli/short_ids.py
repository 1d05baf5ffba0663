"""Ids of runs and commits that are only begun, as lists and traces print them."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from dotscience.errors import DotscienceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotscience.client.hub import HubClient

RUN_BEGUN = re.compile(r"[0-9a-f-]{4,35}")
COMMIT_BEGUN = re.compile(r"[0-9a-f]{4,63}")
MOST_COMMITS = 10_000
"""How far back a commit is looked for, for want of an index of them."""


def run_named(client: HubClient, project_id: str, text: str) -> str:
    """The id of the project's run, published or going on, that begins with `text`; `text` where there is none.

    Raises:
        DotscienceError: several do.
    """
    if not RUN_BEGUN.fullmatch(text):
        return text
    published = client.runs(project_id, filter_string=f'id ~ "{text}"')
    return _only(text, "run", published) or _only(text, "run", client.live_runs(project_id)) or text


def trashed_run_named(client: HubClient, project_id: str, text: str) -> str:
    """`run_named` of the runs in the trash."""
    return (RUN_BEGUN.fullmatch(text) and _only(text, "run", client.trashed_runs(project_id))) or text


def commit_named(client: HubClient, project_id: str, text: str) -> str:
    """`run_named` of the project's newest 10,000 commits."""
    if not COMMIT_BEGUN.fullmatch(text):
        return text
    return _only(text, "commit", islice(client.commits(project_id), MOST_COMMITS)) or text


def _only(text: str, what: str, candidates: Iterable[dict[str, Any]]) -> str | None:
    found = list(islice((one["id"] for one in candidates if one["id"].startswith(text)), 3))
    if len(found) > 1:
        raise DotscienceError(f"{text!r} begins more than one {what}: {', '.join(found)}; type more of it")
    return found[0] if found else None

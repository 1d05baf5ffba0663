"""Calls about runs: what people say about them, how they compare, and the trash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from dotscience.client.calls import Calls, path_of
from dotscience.client.people import new_key


class Comment(Struct, frozen=True, kw_only=True):
    """What somebody has written below a run."""

    id: int
    author: str
    text: str
    created_at: str
    edited_at: str | None = None


class RunCalls(Calls):
    """What can be done with runs besides reading them."""

    def compare(self, project_id: str, run_ids: Sequence[str]) -> dict[str, Any]:
        """Two to 50 runs side by side: `runs`, `parameters`, `summary`, `labels`, `files`; what differs comes first.

        Raises:
            NotFound: the project lacks one of them.
            Invalid: there are too few or too many.
        """
        path = path_of("projects", project_id, "compare")
        return self._call("GET", path, dict[str, Any], params={"runs": ",".join(run_ids)})

    def change_run(
        self,
        project_id: str,
        run_id: str,
        *,
        etag: str,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Name, describe or tag a run; what is None stays as it is.

        Args:
            project_id: The project.
            run_id: The run.
            etag: Its ETag as it was read (`run_etag`).
            name: The name; empty for none.
            notes: The notes; empty for none.
            tags: All its tags from now on.

        Raises:
            PreconditionFailed: somebody else has changed it since.
            Invalid: a value is not acceptable.
        """
        wanted = {"name": name, "notes": notes, "tags": None if tags is None else list(tags)}
        body = {key: value for key, value in wanted.items() if value is not None}
        return self._call("PATCH", _run(project_id, run_id), dict[str, Any], body=body, headers={"If-Match": etag})

    def run_etag(self, project_id: str, run_id: str) -> str:
        """What `change_run` needs to know that nobody else has changed the run.

        Raises:
            NotFound: the project has no such run.
        """
        return self._send("GET", _run(project_id, run_id)).headers["ETag"]

    def trash_run(self, project_id: str, run_id: str) -> None:
        """Move a run to the trash. Idempotent.

        Raises:
            NotFound: the project has no such run.
        """
        self._send("DELETE", _run(project_id, run_id))

    def restore_run(self, project_id: str, run_id: str) -> dict[str, Any]:
        """Move a run back from the trash. Idempotent.

        Raises:
            NotFound: the project has no such run.
        """
        return self._call("POST", _run(project_id, run_id) + "/restore", dict[str, Any], body={})

    def trashed_runs(self, project_id: str) -> Iterator[dict[str, Any]]:
        """The project's runs in the trash, those that came there last first."""
        yield from self._pages(path_of("projects", project_id, "trash"), dict[str, Any])

    def comments(self, project_id: str, run_id: str) -> Iterator[Comment]:
        """The comments on a run, oldest first."""
        yield from self._pages(_run(project_id, run_id) + "/comments", Comment)

    def add_comment(self, project_id: str, run_id: str, text: str) -> Comment:
        """Comment on a run; once, also where the connection breaks off.

        Raises:
            Invalid: the text is empty or too long.
        """
        path = _run(project_id, run_id) + "/comments"
        return self._call("POST", path, Comment, body={"text": text}, headers=new_key())

    def change_comment(self, project_id: str, run_id: str, comment_id: int, text: str) -> Comment:
        """Say something else in a comment of one's own.

        Raises:
            Forbidden: it is somebody else's.
        """
        path = f"{_run(project_id, run_id)}/comments/{comment_id}"
        return self._call("PATCH", path, Comment, body={"text": text})

    def delete_comment(self, project_id: str, run_id: str, comment_id: int) -> None:
        """Remove a comment.

        Raises:
            Forbidden: it is somebody else's, and the project too.
        """
        self._send("DELETE", f"{_run(project_id, run_id)}/comments/{comment_id}")


def _run(project_id: str, run_id: str) -> str:
    return path_of("projects", project_id, "runs", run_id)

"""Calls about what a project holds: commits and their files, models, the names in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from dotscience.client.calls import Calls, path_of

PIECE = 2**20


class ContentCalls(Calls):
    """Reading commits, files and models."""

    def commits(self, project_id: str, *, page: int = 50) -> Iterator[dict[str, Any]]:
        """The project's commits in the order in which they arrived, newest first; `page` (to 200) come at once."""
        asked = {"limit": str(page)}
        yield from self._pages(path_of("projects", project_id, "commits"), dict[str, Any], asked)

    def commit(self, project_id: str, commit: str) -> dict[str, Any]:
        """One commit.

        Raises:
            NotFound: the project has no such commit.
        """
        return self._call("GET", path_of("projects", project_id, "commits", commit), dict[str, Any])

    def tree(self, project_id: str, commit: str, path: str = "") -> dict[str, Any]:
        """A folder of a commit: `entries`, of which there are `total`.

        Raises:
            NotFound: the commit has no such folder.
        """
        where = path_of("projects", project_id, "commits", commit, "tree")
        return self._call("GET", where, dict[str, Any], params={"path": path})

    def download(self, project_id: str, commit: str, path: str, target: IO[bytes]) -> int:
        """Write a file of a commit to `target`, piece by piece; how many bytes that were.

        Raises:
            NotFound: the commit has no such file.
        """
        where = path_of("projects", project_id, "commits", commit, "content")
        size = 0
        with self._send("GET", where, params={"path": path}, stream=True) as answer:
            for piece in answer.iter_content(PIECE):
                size += target.write(piece)
        return size

    def diff(self, project_id: str, commit: str, *, against: str | None = None) -> dict[str, Any]:
        """The paths that differ from another commit, or from the first parent: `changes`, and whether that `is_whole`.

        Raises:
            NotFound: the project lacks one of the commits.
        """
        path = path_of("projects", project_id, "commits", commit, "diff")
        return self._call("GET", path, dict[str, Any], params={} if against is None else {"against": against})

    def diff_file(self, project_id: str, commit: str, path: str, *, against: str | None = None) -> dict[str, Any]:
        """How a file differs: its `kind`, then `lines` of a unified diff, or `cells` of a notebook.

        Raises:
            NotFound: neither commit has the file.
        """
        where = path_of("projects", project_id, "commits", commit, "diff", "file")
        params = {"path": path} | ({} if against is None else {"against": against})
        return self._call("GET", where, dict[str, Any], params=params)

    def columns(self, project_id: str) -> dict[str, list[str]]:
        """The names that the project's runs use: `parameters`, `summary`, `labels`, `tags`."""
        return self._call("GET", path_of("projects", project_id, "columns"), dict[str, list[str]])

    def models(self, project_id: str) -> Iterator[dict[str, Any]]:
        """The models that the project's runs have published, by name."""
        yield from self._pages(path_of("projects", project_id, "models"), dict[str, Any])

    def model_versions(self, project_id: str, model: str) -> Iterator[dict[str, Any]]:
        """A model's versions, newest first.

        Raises:
            NotFound: the project has no such model.
        """
        yield from self._pages(path_of("projects", project_id, "models", model, "versions"), dict[str, Any])

    def model_version(self, project_id: str, model: str, number: int) -> dict[str, Any]:
        """One version of a model.

        Raises:
            NotFound: there is none.
        """
        path = path_of("projects", project_id, "models", model, "versions", str(number))
        return self._call("GET", path, dict[str, Any])

"""Reading the models that runs have published."""

from __future__ import annotations

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.problems import not_found
from hub_server.domain.types import ModelInfo, ModelVersion
from hub_server.store import models
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef


class Models:
    """The models of a project and their versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def models(self, project: ProjectRef, after: Position | None, limit: int) -> Slice[ModelInfo]:
        """A page of the project's models, by name."""
        return await self._database.read(lambda c: models.list_models(c, project.key, after=after, limit=limit))

    async def versions(self, project: ProjectRef, name: str, after: Position | None, limit: int) -> Slice[ModelVersion]:
        """A page of a model's versions, newest first.

        Raises:
            Problem: not-found.
        """
        found = await self._database.read(
            lambda c: models.list_versions(c, project.key, name, after=after, limit=limit)
        )
        if found is None:
            raise not_found("model", name)
        return found

    async def version(self, project: ProjectRef, name: str, number: int) -> ModelVersion:
        """One version of a model.

        Raises:
            Problem: not-found.
        """
        found = await self._database.read(lambda c: models.find_version(c, project.key, name, number))
        if found is None:
            raise not_found("version of that model", str(number))
        return found

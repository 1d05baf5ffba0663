"""Bringing the database to the schema of this program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DatabaseError

from dotscience.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub_server.store.backends.backend import Backend

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(backend: Backend) -> None:
    """Create or upgrade the database, in one transaction; nothing to do where it is up to date.

    Raises:
        ConfigError: another hub uses it, a newer version of the hub wrote it, or it cannot be used at all.
    """
    engine = backend.writer()
    try:
        backend.prepare()
        with engine.begin() as connection:
            _upgrade(connection, backend.name)
    except (OSError, DatabaseError) as error:
        reason = str(error.orig if isinstance(error, DatabaseError) else error.strerror).strip()
        raise ConfigError(
            f"{backend.name} cannot be used as the hub's database ({reason}); {backend.advice}"
        ) from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection, name: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise ConfigError(
            f"{name} has schema {current}, which this version of the hub does not know; "
            "use the newer version that wrote it"
        )
    command.upgrade(config, "head")

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
from hub_server.store.database import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(path: Path) -> None:
    """Create or upgrade the database file, in one transaction; nothing to do where it is up to date.

    Only its owner can read the file, and those that SQLite puts beside it (they get its mode).

    Raises:
        ConfigError: the file was written by a newer version of the hub, or is no database that can be used.
    """
    engine = open_engine(path, begin="BEGIN IMMEDIATE")
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        with engine.begin() as connection:
            _upgrade(connection, path)
    except (OSError, DatabaseError) as error:
        reason = error.orig if isinstance(error, DatabaseError) else error.strerror
        raise ConfigError(f"{path} cannot be used as the hub's database ({reason}); restore a backup of it") from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection, path: Path) -> None:
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
            f"{path} has schema {current}, which this version of the hub does not know; "
            "use the newer version that wrote it"
        )
    command.upgrade(config, "head")

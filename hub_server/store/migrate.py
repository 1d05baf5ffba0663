"""Bringing the database to the schema of this program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DatabaseError

from dotscience.errors import ConfigError, DiskFull

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
        raise _unusable(backend, error) from error
    finally:
        engine.dispose()


@contextmanager
def looking(backend: Backend) -> Iterator[Connection]:
    """A transaction that reads a database which is up to date; a hub may use it meanwhile.

    Raises:
        ConfigError: there is none, it has another schema, or it cannot be used.
    """
    engine = backend.reader()
    try:
        with engine.connect() as connection, connection.begin():
            require_current(connection, backend.name)
            yield connection
    except DatabaseError as error:
        raise _unusable(backend, error) from error
    finally:
        engine.dispose()


def _unusable(backend: Backend, error: OSError | DatabaseError) -> ConfigError:
    told = backend.told(error)
    if isinstance(told, DiskFull):
        return ConfigError(f"{backend.name} cannot be used as the hub's database: {told}, and start again")
    reason = str(error.orig if isinstance(error, DatabaseError) else error.strerror).strip()
    return ConfigError(f"{backend.name} cannot be used as the hub's database ({reason}); {backend.advice}")


def require_current(connection: Connection, name: str) -> None:
    """Make sure that a database has the schema of this program; nothing is changed.

    Raises:
        ConfigError: it has another one.
    """
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current != scripts.get_current_head():
        raise ConfigError(
            f"{name} has schema {current}, and this version of the hub has {scripts.get_current_head()}; "
            "use the version that wrote it, or start a hub of this one on it first"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection, name: str) -> None:
    config = _config()
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

"""The databases that `hub.py` measures: a file, a server of the benchmark's own, or one that somebody names."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct
from sqlalchemy import create_engine, make_url

from hub_server.store.backends.backend import Backend
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite

TESTS = Path(__file__).parents[1] / "tests"


class Place(Struct, frozen=True, kw_only=True):
    """A database for ours.

    Attributes:
        forget: Has the system drop what it keeps of the database in memory; None where that is out of our hands.
        remember: Has the system read all of the database's files, as if each had been asked for, and somebody else's;
            None likewise.
        vacuum: Does what the system does by itself, some time after many rows were stored; None where it does not.
        peer: The SQLAlchemy URL of a database of the same kind for somebody else.
    """

    backend: Backend
    forget: Callable[[], None] | None
    remember: Callable[[], None] | None
    vacuum: Callable[[], None] | None
    peer: str | None


@contextmanager
def sqlite(folder: Path, name: str) -> Iterator[Place]:
    """A file in a folder."""
    path = folder / f"hub-{name}.db"
    files = path, path.with_name(f"{path.name}-wal")
    peer = folder / f"peer-{name}.db"
    yield Place(
        backend=Sqlite(path),
        forget=lambda: drop_from_memory(*files),
        remember=lambda: read_into_memory(*files, peer),
        vacuum=None,
        peer=f"sqlite:///{peer}",
    )


@contextmanager
def named(url: str) -> Iterator[Place]:
    """A database on a server that runs."""
    yield Place(backend=Postgresql(url), forget=None, remember=None, vacuum=partial(_vacuum, url), peer=None)


@contextmanager
def own_server() -> Iterator[Place]:
    """A PostgreSQL server with empty databases, for as long as the block: that of the tests, without fsync.

    It has a quarter of the machine's memory for its buffers, as PostgreSQL's manual (20.4.1) recommends.
    """
    subprocess.run([TESTS / "system-packages", "postgresql"], check=True, env=os.environ | {"CI": "true"})
    sys.path.append(str(TESTS))
    from support import postgres

    buffers = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 // 2**20
    with (
        postgres.server(f"-c shared_buffers={buffers}MB") as server,
        server.database() as ours,
        server.database() as peer,
    ):

        def forget() -> None:
            with create_engine(_with_driver(ours)).connect() as connection:
                connection.exec_driver_sql("CHECKPOINT")
            with server.stopped():
                drop_from_memory(*server.data.rglob("*"))

        yield Place(
            backend=Postgresql(ours),
            forget=forget,
            remember=lambda: read_into_memory(*server.data.rglob("*")),
            vacuum=partial(_vacuum, ours),
            peer=_with_driver(peer),
        )


@contextmanager
def data_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that goes afterwards."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="dotscience-benchmark-") as made:
        yield Path(made)


def drop_from_memory(*paths: Path) -> None:
    """Have the system drop what it keeps of files in memory (posix_fadvise(2))."""
    for path in paths:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def read_into_memory(*paths: Path) -> None:
    """Have the system keep files in memory, as far as that suffices."""
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                while file.read(2**20):
                    pass


def _vacuum(url: str) -> None:
    """What autovacuum does: statistics, and the visibility map, without which no index is read alone."""
    with create_engine(_with_driver(url), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _with_driver(url: str) -> str:
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

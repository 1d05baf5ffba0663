"""A PostgreSQL server of the tests' own, reached by a socket in a temporary folder. It never sees a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from support.requirements import lacks

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "postgres"
OPTIONS = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c shared_buffers=64MB"
"""Nothing that a test stores has to outlive a power cut."""


class Server:
    """A running server; its collation is not that of bytes, as on most servers."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self._folder = folder
        self._options = options

    @property
    def data(self) -> Path:
        """The folder that holds all of its databases."""
        return self._folder / "data"

    @contextmanager
    def database(self, options: str = "") -> Iterator[str]:
        """The URL of an empty database, for as long as the block; `options` are those of CREATE DATABASE."""
        name = f"test_{uuid4().hex}"
        self._psql(f"CREATE DATABASE {name} {options}")
        try:
            yield f"postgresql://{USER}@/{name}?host={self._folder}"
        finally:
            self._psql(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_connections(self) -> None:
        """End all sessions, as a server that restarts does."""
        self._psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing answers for as long as the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def start(self) -> None:
        """Have the server answer."""
        options = f"{OPTIONS} {self._options} -k {self._folder}"
        _run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-s", "-l", f"{self._folder}/log", "-o", options, "start")

    def stop(self) -> None:
        """End the server and all connections."""
        _run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-s", "-m", "immediate", "stop")

    def _psql(self, statement: str) -> None:
        _run("psql", "-qX", "-h", str(self._folder), "-U", USER, "-d", "postgres", "-c", statement)


@contextmanager
def server(options: str = "") -> Iterator[Server]:
    """A server, for as long as the block; `options` are further ones of the program."""
    if not PROGRAMS:
        lacks("needs the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="dots-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        data = str(folder / "data")
        icu = ("--locale-provider=icu", "--icu-locale=en-US")
        _run("initdb", "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", *icu)
        made = Server(folder, options)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


def _run(program: str, *arguments: str) -> None:
    """As the user that the server runs as: it refuses to be root."""
    switch = ("runuser", "-u", USER, "--") if os.geteuid() == 0 else ()
    command = [*switch, str(PROGRAMS[-1] / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{program}: {done.stderr}"

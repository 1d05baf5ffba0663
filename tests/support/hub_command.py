"""`ds hub` as an operator runs it: as a process, and with a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.postgres import PROGRAMS

PATH = f"{PROGRAMS[-1]}:{os.environ['PATH']}" if PROGRAMS else os.environ["PATH"]
"""PostgreSQL's programs in the version of the tests' server come first."""


def hub_command(
    data: Path, *arguments: Any, database: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it on a data folder, and wait for its end."""
    given = ["--data", str(data), *(["--database", database] if database else []), *map(str, arguments)]
    return subprocess.run(
        [sys.executable, "-m", "hub_server", *given],
        env=os.environ | {"PATH": PATH} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class HubProcess:
    """`python -m hub_server` on a data folder."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hub_server", "--data", str(data), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = self.line.rpartition(" ")[2].strip()

    @property
    def admin(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode

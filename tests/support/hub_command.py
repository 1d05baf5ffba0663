"""`ds hub` with a command, as an operator runs it."""

from __future__ import annotations

import os
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

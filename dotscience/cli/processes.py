"""Components as child processes of a `ds` command: start, wait until ready, stop.

Each child runs in a session of its own, so that the terminal's Ctrl-C reaches only the command, which then stops its
children in order. Their output goes to log files, whose end is shown when a child fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from dotscience.errors import ConfigError, DotscienceError

STOP_TIMEOUT_S = 15.0
MAX_LOG_BYTES = 16 * 2**20
"""Beyond this a log begins anew; the one before it is kept."""
POLL_S = 0.05

T = TypeVar("T")


class Component(Struct, kw_only=True):
    """A running child: what messages call it ("the hub"), and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None


def start(name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> Component:
    """Start a component; `environment` is added to this process's own."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rotate(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    return Component(name=name, process=process, log=log)


def rotate(log: Path) -> None:
    """Move what a long log holds to `….1`, in place of what was there; whoever writes to the log just goes on.

    As `logrotate`'s copytruncate: what is written while it is copied may be missing. Nothing happens to a short log;
    where there is no room for a copy, what it holds is dropped.
    """
    if not log.is_file() or log.stat().st_size <= MAX_LOG_BYTES:
        return
    before = log.with_name(f"{log.name}.1")
    try:
        shutil.copyfile(log, before)
    except OSError:
        before.unlink(missing_ok=True)
    os.truncate(log, 0)


def wait_until(component: Component, ready: Callable[[], T | None], *, timeout_s: float) -> T:
    """Ask `ready` until it answers something, and return that.

    Raises:
        DotscienceError: the component ended, or was not ready in time; the end of its log is in the message.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (answer := ready()) is not None:
            return answer
        if not component.alive:
            raise DotscienceError(
                f"{component.name} ended with status {component.process.returncode}{_tail(component)}"
            )
        time.sleep(POLL_S)
    raise DotscienceError(f"{component.name} was not ready within {timeout_s:.0f} s{_tail(component)}")


def stop(component: Component) -> None:
    """Ask the process to end, and kill it where it has not after `STOP_TIMEOUT_S`; idempotent."""
    if not component.alive:
        return
    component.process.send_signal(signal.SIGTERM)
    try:
        component.process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        kill(component)


def kill(component: Component) -> None:
    """End the process and all that it started, at once; idempotent."""
    if component.alive:
        os.killpg(component.process.pid, signal.SIGKILL)
        component.process.wait()


def free_port(preferred: int, *, host: str = "127.0.0.1") -> int:
    """`preferred`, or the next port that is free; any free port for 0.

    Raises:
        ConfigError: none of the hundred ports from `preferred` on is free.
    """
    candidates = [0] if preferred == 0 else range(preferred, min(preferred + 100, 65536))
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(f"no port from {preferred} to {candidates[-1]} is free on {host}; name another one")


def _tail(component: Component, lines: int = 15) -> str:
    text = component.log.read_text("utf-8", "replace").splitlines()[-lines:]
    return f"; the end of {component.log}:\n" + "\n".join(f"  {line}" for line in text) if text else ""

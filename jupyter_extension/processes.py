"""Starting `ds` as a process: `ds committer` for a workspace, `ds init` for a folder.

Processes, not imports: the committer outlives a crash of the server and is not a dependency of this extension.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from dotscience.workspace import STATE_DIR
from jupyter_extension.errors import TrackingFailed

DS = (sys.executable, "-m", "dotscience.cli")
LOG_FILE = "committer.log"
INIT_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0


class CommitterProcess:
    """The `ds committer` of one workspace that this server started; knows nothing of one that somebody else started."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        """Whether a process that we started is alive."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it unless it runs; its output goes to `.dotscience/committer.log`, emptied at each start.

        It gets a session of its own: the first Ctrl-C in the server's terminal only asks whether to stop the server.
        """
        if self.running:
            return
        log = await asyncio.to_thread(os.open, self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *DS, "committer", "--root", str(self._root),
                stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)

    async def reason_it_ended(self) -> str | None:
        """Why the process that we started failed, in one sentence; None while it has not."""
        if self._process is None or not self._process.returncode:
            return None
        said = await asyncio.to_thread(_last_line, self._log)
        return f"The committer stopped with status {self._process.returncode}" + (f": {said}" if said else "")

    async def stop(self) -> None:
        """Ask it to finish the commit in hand and exit; after 10 s it is killed, which loses nothing."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def _log(self) -> Path:
        return self._root / STATE_DIR / LOG_FILE


async def init_workspace(folder: Path) -> None:
    """Make `folder` a workspace, as `ds init` does.

    Raises:
        TrackingFailed: `ds init` refused, failed or took longer than two minutes.
    """
    process = await asyncio.create_subprocess_exec(
        *DS, "init", str(folder), "--yes", "--json", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        _, complaint = await asyncio.wait_for(process.communicate(), INIT_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise TrackingFailed(f"`ds init {folder}` took longer than two minutes", hint="Run it in a terminal.") from None
    if process.returncode != 0:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise TrackingFailed(
            lines[-1] if lines else f"`ds init` ended with status {process.returncode}",
            hint=f"`ds init {folder}` in a terminal shows more.",
        )


def _last_line(log: Path) -> str:
    """The last line of the log's last 4 KiB."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:500] if lines else ""

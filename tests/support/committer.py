"""A committer as a real process, and what it logs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0
DS = [sys.executable, "-m", "dotscience.cli"]


class Process:
    """A committer process. Its log lines are read by a thread so that it never blocks on them."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.log: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [*DS, "committer", "--root", str(root)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": line.rstrip()}
            with self._changed:
                self.log.append(entry)
                self._changed.notify_all()
        with self._changed:
            self.log.append({"event": "process.ended"})
            self._changed.notify_all()

    def wait_for_log(self, event: str, *, after: int = 0, **fields: str) -> dict[str, Any]:
        """The first log entry with this event and these fields, as soon as it is there."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}.items()
            return next((entry for entry in self.log[after:] if wanted <= entry.items()), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.log[-1:] == [{"event": "process.ended"}], PATIENCE_S)
            entry = found()
        assert entry is not None, f"no {event} in {self.log}"
        return entry

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The process does nothing meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: int) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return status

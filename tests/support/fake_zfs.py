"""`zfs` and `zpool` commands that replay what real ones printed, and keep a list of what they were asked to do."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

PROGRAM = """#!/bin/sh
printf '%s\\n' "${{0##*/}} $*" >>{log}
case "${{0##*/}} $*" in
{answers}
*) echo "not recorded: $*" >&2; exit 99 ;;
esac
"""


class FakeZfs:
    """The commands, in a folder that goes first on PATH."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._answers: dict[str, str] = {}
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self._write()

    @property
    def asked(self) -> list[str]:
        """Every command line so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def destroyed(self) -> list[str]:
        """Those that throw something away, or would roll it back."""
        words = ("destroy", "rollback", "receive -A", "receive -F", "recv")
        return [line for line in self.asked if any(word in line for word in words)]

    def answer(self, command: str, printed: str = "", *, complaint: str = "", status: int | None = None) -> None:
        """What a command line prints, on both streams, and how it ends: badly where it complains.

        The line may end in `*` for any end.
        """
        code = status if status is not None else int(bool(complaint))
        pattern = shlex.quote(command.removesuffix("*")) + ("*" if command.endswith("*") else "")
        said = f"printf %s {shlex.quote(printed)}; printf %s {shlex.quote(complaint)} >&2; exit {code}"
        self._answers[command] = f"{pattern}) {said} ;;"
        self._write()

    def _write(self) -> None:
        text = PROGRAM.format(log=shlex.quote(str(self._log)), answers="\n".join(self._answers.values()))
        for name in ("zfs", "zpool"):
            path = self._folder / name
            path.write_text(text)
            path.chmod(0o755)

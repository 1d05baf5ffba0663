"""Runs one step of a set-up: `step TITLE COMMAND …` says what it is and that it goes on.

What the command prints is shown where it fails; until then its last line is, as it changes. On a terminal one line is
written over and over, elsewhere (CI, a file) a line every five seconds. The exit status is the command's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

TAIL = 4096
SHOWN_OF_FAILURE = 1 << 20


def main(title: str, command: list[str]) -> int:
    """Run the command to its end."""
    begun, live = time.monotonic(), sys.stdout.isatty()
    tell(f"{title} …", live=live)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        while (status := ended(process, 1 if live else 5)) is None:
            tell(f"{title} … {time.monotonic() - begun:.0f} s  {last_line(log.fileno())}", live=live)
        tell(f"{title}: {'done' if status == 0 else 'failed'} after {time.monotonic() - begun:.0f} s", live=live)
        if live:
            print(flush=True)
        if status != 0:
            print(tail(log.fileno(), SHOWN_OF_FAILURE), file=sys.stderr)
    return status if status >= 0 else 128 - status


def ended(process: subprocess.Popen[bytes], wait_s: float) -> int | None:
    """The status of the process, where it ends within this time; Ctrl-C reaches it, too, and is left to it."""
    while True:
        try:
            return process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None
        except KeyboardInterrupt:
            continue


def tell(text: str, *, live: bool) -> None:
    """Write a line; on a terminal in place of the one before."""
    if live:
        print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
    else:
        print(text, flush=True)


def last_line(log: int) -> str:
    """The last line that has something in it, without what could move the cursor."""
    lines = [line for line in tail(log, TAIL).splitlines() if line.strip()]
    return "".join(char for char in lines[-1].strip() if char.isprintable())[:100] if lines else ""


def tail(log: int, count: int) -> str:
    """The end of what was written; read without moving the position, which the command shares."""
    return os.pread(log, count, max(0, os.fstat(log).st_size - count)).decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

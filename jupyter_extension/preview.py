"""What tracking a folder would mean: how many files, how large, and whether it is a folder that should not be tracked.

`ds init` decides, so it is asked: the same rules then hold before and after a person clicks.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
from msgspec import Struct

from jupyter_extension.errors import TrackingFailed
from jupyter_extension.processes import DS

TIMEOUT_S = 30.0
"""`ds init --preview` itself stops counting after five seconds; a busy machine is slow to start it."""


class Preview(Struct, frozen=True, kw_only=True):
    """A folder before it is tracked; `more` when counting stopped at a limit; `refused` says why it should not be."""

    root: str
    files: int
    size: int
    more: bool
    refused: str | None


def preview(folder: Path) -> Preview:
    """Look at `folder`; blocks for seconds, so call it in a thread.

    Raises:
        TrackingFailed: `ds init` could not look.
    """
    command = [*DS, "init", str(folder), "--preview", "--json"]
    try:
        finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=True)
        return msgspec.json.decode(finished.stdout, type=Preview)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"`ds init` ended with status {error.returncode}"
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        reason = f"`ds init` gave no answer about {folder} ({error})"
    raise TrackingFailed(reason, hint=f"`ds init {folder} --preview` in a terminal shows more.")

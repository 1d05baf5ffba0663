"""What a run ran on and with, captured once per process, after its first run was published.

Capturing asks other programs (`git`, `nvidia-smi`), so a thread does it, and the interpreter waits for that thread when
it ends. Records name the environment by an id that is known at once; its file follows.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from dotscience import surroundings
from dotscience.git import git_state
from dotscience.record import Environment, encode_json
from dotscience.values import clean_text
from dotscience.workspace import write_durably

GPU_TIMEOUT_S = 5
ENVIRONMENT_SUFFIX = ".environment.json"

_log = logging.getLogger(__name__)
_id = str(uuid4())
_lock = threading.Lock()
_left_in: set[Path] = set()
_PACKAGE_FOLDER = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-.*)?\.(?:dist|egg)-info")


def identity() -> str:
    """The id of this process's environment."""
    return _id


def leave(folder: Path, root: str) -> None:
    """See to it that the environment's file gets into `folder`, once per process; returns before it is there."""
    with _lock:
        if folder in _left_in:
            return
        _left_in.add(folder)
    try:
        threading.Thread(target=_write, args=(folder, root), name="dotscience-environment").start()
    except RuntimeError:  # the interpreter is shutting down and starts no threads any more
        _write(folder, root)


def _write(folder: Path, root: str) -> None:
    try:
        write_durably(folder / f"{_id}{ENVIRONMENT_SUFFIX}", encode_json(capture(root)))
    except OSError as error:
        _log.warning("the environment could not be written to %s: %s", folder, error)


def capture(root: str) -> Environment:
    """Look at the machine, the interpreter and the git repository that `root` is in; what cannot be seen is None."""
    git = git_state(Path(root))
    return Environment(
        captured_at=datetime.now(UTC),
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=platform.platform(),
        hostname=clean_text(platform.node()),
        executable=clean_text(sys.executable or ""),
        cpu=_cpu(),
        cpu_count=os.cpu_count(),
        ram_bytes=_ram_bytes(),
        gpus=_gpus(),
        git_commit=git.commit,
        git_dirty=git.dirty,
        packages=_packages(),
        variables={name: clean_text(value) for name, value in surroundings.recorded_variables().items()},
    )


def _packages() -> dict[str, str]:
    """Installed distributions by the names of their metadata folders: a hundred times quicker than reading them.

    The first on `sys.path` wins, as it does for `import`. Names are normalised (PEP 503).
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - strings, and hundreds of them
        except OSError:
            continue
        for match in filter(None, map(_PACKAGE_FOLDER.fullmatch, sorted(names))):
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            found.setdefault(clean_text(name), clean_text(match["version"]))
    return found


def _cpu() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or None
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or None


def _ram_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, timeout=GPU_TIMEOUT_S, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.decode("utf-8", "replace").splitlines() if line.strip()]

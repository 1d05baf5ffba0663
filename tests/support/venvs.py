"""Virtual environments for programs that cannot share ours; kept in the user's cache from one session to the next."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import platformdirs


def installed(name: str, *pins: str) -> tuple[Path, bool]:
    """The folder of a venv with these packages, and whether it was made just now; a stamp says that it is whole."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = platformdirs.user_cache_path("dotscience-tests") / f"{name}-py{version}"
    stamp = folder / "installed"
    wanted = "\n".join((*pins, sys.base_prefix))
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder, False
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *pins], check=True, timeout=240)
    stamp.write_text(wanted)
    return folder, True

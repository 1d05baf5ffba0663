"""The unmodified original library (PyPI `dotscience` 0.8.7) in a venv of its own: it shares our import name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import platformdirs

PINS = ("dotscience==0.8.7", "ipykernel>=6.29,<8", "setuptools<81")
KERNEL = "original-dotscience"
METADATA_RE = re.compile(r"\[\[DOTSCIENCE-RUN:(.+?)\]\](.*?)\[\[/DOTSCIENCE-RUN:\1\]\]", re.MULTILINE | re.DOTALL)


class Original:
    """Its interpreter, and a JUPYTER_PATH entry that has its kernel."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self.jupyter_path = folder / "share" / "jupyter"


def install() -> Original:
    """Make the venv, or use the one that an earlier session made; the stamp says that it was made to the end."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = platformdirs.user_cache_path("dotscience-tests") / f"original-0.8.7-py{version}"
    original = Original(folder)
    stamp = folder / "installed"
    wanted = "\n".join((*PINS, sys.base_prefix))
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [str(original.python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PINS], check=True, timeout=240)
        _write_kernel(original)
        stamp.write_text(wanted)
    return original


def _write_kernel(original: Original) -> None:
    folder = original.jupyter_path / "kernels" / KERNEL
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(original.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "The original library", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def printed_runs(text: str) -> dict[str, dict]:
    """What the original's own test suite would read: metadata by run id."""
    return {run_id: json.loads(body) for run_id, body in METADATA_RE.findall(text)}

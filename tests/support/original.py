"""The unmodified original library (PyPI `dotscience` 0.8.7) in a venv of its own: it shares our import name."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.venvs import installed

PINS = ("dotscience==0.8.7", "ipykernel>=6.29,<8", "setuptools<81")
KERNEL = "original-dotscience"
METADATA_RE = re.compile(r"\[\[DOTSCIENCE-RUN:(.+?)\]\](.*?)\[\[/DOTSCIENCE-RUN:\1\]\]", re.MULTILINE | re.DOTALL)


class Original:
    """Its interpreter, and a JUPYTER_PATH entry that has its kernel."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self.jupyter_path = folder / "share" / "jupyter"


def install() -> Original:
    """Its venv, with a kernel that Jupyter finds."""
    folder, is_new = installed("original-0.8.7", *PINS)
    original = Original(folder)
    if is_new:
        _write_kernel(original)
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

"""How this user calls this very `ds` in a shell, for texts that name a command to run."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

WRITTEN = "`ds "
"""How texts name a command, whoever reads them."""


def ds_command(*, anywhere: bool = False) -> str:
    """The words that start `ds` here: `ds` where PATH leads to it, else the path of the script.

    Where the interpreter has no such script beside it, it is called with the module. A path begins in the current
    folder where it lies below that, except for words that are to work `anywhere`.
    """
    import shutil

    script = scripts_folder() / "ds"
    if not script.is_file():
        return f"{_quoted(Path(sys.executable), anywhere=anywhere)} -m dotscience.cli"
    on_path = shutil.which("ds")
    is_this = on_path is not None and script.samefile(on_path)
    return "ds" if is_this else _quoted(script, anywhere=anywhere)


def scripts_folder() -> Path:
    """Where the interpreter's own scripts are; of a virtual environment, not of the Python that it was made with."""
    return Path(sys.executable).parent


def spelled(text: str, *, anywhere: bool = False) -> str:
    """A text in which each command in backticks, such as `ds up`, is written as this user can call it."""
    return text.replace(WRITTEN, f"`{ds_command(anywhere=anywhere)} ") if WRITTEN in text else text


def _quoted(path: Path, *, anywhere: bool) -> str:
    """A path as a word of a shell."""
    import shlex

    if not anywhere:
        with suppress(ValueError, OSError):  # it is elsewhere, or the current folder is gone
            path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))

"""The `ds` command. `frame` has it; here is only how it starts, which is most of what a short command costs."""

from __future__ import annotations

import sys

from dotscience.version import __version__


def main(prog_name: str = "ds") -> None:
    """Be the command that the process was started as. `ds --version` imports no command-line library for its answer."""
    if sys.argv[1:] == ["--version"]:
        print(f"ds, version {__version__}")  # noqa: T201 - that is what it is for
        return
    from dotscience.cli.frame import main as command

    command(prog_name=prog_name)

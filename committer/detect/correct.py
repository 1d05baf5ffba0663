"""Correction runs: file changes that no run of a commit explains. Pure functions; see ARCHITECTURE 4.7."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from dotscience.record import FileRef, RunRecord

DESCRIPTION = "Files changed that no run explains"
CODE_SUFFIXES = frozenset(
    {
        *(".c", ".cc", ".cfg", ".cpp", ".cu", ".go", ".h", ".hpp", ".ini", ".ipynb", ".java", ".jl", ".js", ".lua"),
        *(".m", ".md", ".pl", ".proto", ".py", ".pyi", ".pyx", ".r", ".rb", ".rmd", ".rs", ".rst", ".scala", ".sh"),
        *(".sql", ".swift", ".toml", ".ts", ".yaml", ".yml"),
    }
)
CODE_NAMES = frozenset({"Dockerfile", "Makefile", "LICENSE", ".gitignore", ".dotscienceignore"})


def is_code(path: str) -> bool:
    """Whether a file is part of the workload rather than its data: people edit these, runs do not."""
    name = PurePosixPath(path).name
    return name in CODE_NAMES or PurePosixPath(name).suffix.lower() in CODE_SUFFIXES


def unexplained(changed: Iterable[str], runs: Iterable[RunRecord]) -> list[str]:
    """The changed data files that no run names as an input or output, sorted."""
    claimed = {file.path for run in runs for file in (*run.inputs, *run.outputs)}
    return sorted({path for path in changed if path not in claimed and not is_code(path)})


def correction_run(dot_id: str, parent: str, paths: list[str], *, noticed_at: datetime) -> RunRecord:
    """The run that stands for changes since commit `parent`. Its id follows from both."""
    return RunRecord(
        run_id=str(uuid5(UUID(dot_id), "\n".join(["correction", parent, *paths]))),
        authority="correction",
        description=DESCRIPTION,
        ended_at=noticed_at,
        outputs=[FileRef(path=path, observed=True) for path in paths],
    )

"""What short commands cost: CPU time of the whole process, beside git and restic doing the like in the same run.

    python benchmarks/commands.py [--json]

In an empty workspace: `ds --version`, `status`, `snapshot`, `log`, `runs ls`, beside `git --version`, `status`, `log`.
With 8,000 small files: the first snapshot and one of what has not changed, beside restic. Needs git and restic.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROUNDS = 5
FILES = 8_000
DS = [sys.executable, "-m", "dotscience.cli"]
COMMANDS = (["--version"], ["status"], ["snapshot"], ["log"], ["runs", "ls"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {**short_commands(Path(folder)), **snapshots(Path(folder))}
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, seconds in figures.items():
        print(f"{name:40}{seconds:8.3f} CPU-s")


def short_commands(folder: Path) -> dict[str, float]:
    workspace, repository = folder / "empty", folder / "repository"
    workspace.mkdir()
    environment = own_environment(folder)
    cpu([*DS, "init", "--offline"], workspace, environment)
    cpu(["git", "init", "-q", str(repository)], folder, environment)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    cpu(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], repository, environment)
    figures = {"bare Python": typical([sys.executable, "-c", "pass"], workspace, environment)}
    for command in COMMANDS:
        cpu([*DS, *command], workspace, environment)
    figures |= {f"ds {' '.join(one)}": typical([*DS, *one], workspace, environment) for one in COMMANDS}
    for command in (["--version"], ["status"], ["log"]):
        figures[f"git {command[0]}"] = typical(["git", *command], repository, environment)
    return figures


def snapshots(folder: Path) -> dict[str, float]:
    """The first of 8,000 files, and the median of those of what has not changed."""
    workspace = folder / "files"
    environment = own_environment(folder) | {"RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": str(folder / "restic")}
    made = random.Random(1)
    for number in range(FILES):
        path = workspace / f"{number // 100}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.randbytes(made.randint(100, 4_000)))
    cpu(["restic", "init"], folder, environment)
    cpu([*DS, "init", "--offline"], workspace, environment)
    backup = ["restic", "backup", "-q", str(workspace)]
    figures = {
        "restic backup, first": cpu(backup, folder, environment),
        "ds snapshot, first of 8,000 files": cpu([*DS, "snapshot"], workspace, environment),
        "restic backup, unchanged": typical(backup, folder, environment),
    }
    return figures | {"ds snapshot, 8,000 unchanged files": typical([*DS, "snapshot"], workspace, environment)}


def typical(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    return median(cpu(command, folder, environment) for _ in range(ROUNDS))


def cpu(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """User and system seconds of a process and its children; some fail, as `runs ls` does without a hub."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's; modules are compiled once and kept, as an installation has them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own = {"DOTSCIENCE_CONFIG_DIR": str(folder / "config"), "HOME": str(folder)}
    return kept | own | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


if __name__ == "__main__":
    main()

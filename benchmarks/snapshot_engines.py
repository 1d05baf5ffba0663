"""The engines that `snapshot.py` compares: how each makes a repository and puts a workspace into it.

All of them see the same files at the same paths, run as fresh processes and sync as they do by themselves. What they
keep besides the repository, such as caches, is in a folder of the comparison's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import platformdirs
from snapshot_workspaces import files_below

from committer.storage.ignore import DEFAULT_IGNORE, IGNORE_FILE

ROOT = Path(__file__).parents[1]
DS = (sys.executable, "-m", "dotscience.cli")
TAKE = ("commit", "-m", "benchmark", "--json")
"""The command of ours that takes a snapshot."""

DVC_VERSION = "3.67.1"
RESTIC_WITH_COMPRESSION = (0, 14)
PACKAGES = {"restic": "restic", "borg": "borgbackup", "git": "git"}
"""The Debian packages of the peers that have one."""

Command = Sequence[str]


class Cost(NamedTuple):
    """What processes took: `cpu_s` is user and system time of them and of all their children that they waited for."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: object) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s) if isinstance(other, Cost) else NotImplemented


class BenchmarkError(Exception):
    """The benchmark cannot go on; the text is for the person at the terminal."""


class Place(NamedTuple):
    """Where a case happens.

    `tree` is the folder that ours tracks; it holds `data`, which the peers are given, and nothing else that counts.
    `base`, above it, is the workspace of dvc, which knows no other place for its repository.
    """

    base: Path

    @property
    def tree(self) -> Path:
        return self.base / "tree"

    @property
    def data(self) -> Path:
        return self.tree / "data"

    @property
    def caches(self) -> Path:
        return self.base / "caches"

    def repository(self, name: str) -> Path:
        """The repository of a peer that can have it anywhere."""
        return self.base / "repositories" / name

    def clear(self) -> None:
        """Remove every engine's repository and cache, and have ours leave out what dvc notes beside the data."""
        for name in ("repositories", "caches", ".dvc", "tree/.dotscience"):
            shutil.rmtree(self.base / name, ignore_errors=True)
        for name in (".dvcignore", "tree/data.dvc"):
            (self.base / name).unlink(missing_ok=True)
        (self.base / "repositories").mkdir()
        (self.tree / IGNORE_FILE).write_text(f"{DEFAULT_IGNORE}/data.dvc\n")


class Engine(NamedTuple):
    """A program that takes snapshots.

    Attributes:
        prepare: The commands that make the repository; they are not measured.
        take: The commands of one snapshot; they are.
        folder: Where the commands run.
        repository: What `new_bytes` is the growth of.
    """

    name: str
    prepare: Callable[[Place], list[Command]]
    take: Callable[[Place], list[Command]]
    folder: Callable[[Place], Path]
    repository: Callable[[Place], Path]
    environment: Callable[[Place], Mapping[str, str]]


def ours() -> Engine:
    """Dotscience; its repository includes the index and the journal."""
    return Engine(
        "ours",
        lambda _: [[*DS, "init", "--offline", "--yes"]],
        lambda _: [[*DS, *TAKE]],
        lambda place: place.tree,
        lambda place: place.tree / ".dotscience",
        lambda _: {},
    )


def restic() -> Engine:
    """Restic with its default compression, where it has any."""
    compresses = restic_version(_output("restic", "version")) >= RESTIC_WITH_COMPRESSION
    version, compression = (["--repository-version", "2"], ["--compression", "auto"]) if compresses else ([], [])
    return Engine(
        "restic",
        lambda _: [["restic", "init", *version]],
        lambda place: [["restic", "backup", *compression, str(place.data)]],
        lambda place: place.base,
        lambda place: place.repository("restic"),
        lambda place: {
            "RESTIC_REPOSITORY": str(place.repository("restic")),
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(place.caches / "restic"),
        },
    )


def borg() -> Engine:
    """Borg without encryption, with the compression that ours has."""
    return Engine(
        "borg",
        lambda place: [["borg", "init", "-e", "none", str(place.repository("borg"))]],
        lambda place: [["borg", "create", "-C", "zstd,3", f"{place.repository('borg')}::{time.time_ns()}", "data"]],
        lambda place: place.tree,
        lambda place: place.repository("borg"),
        lambda place: {
            "BORG_BASE_DIR": str(place.caches / "borg"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        },
    )


def git() -> Engine:
    """Git; its collector is off, as it would work in the background while others are measured."""
    return Engine(
        "git",
        lambda _: [["git", "init", "-q"]],
        lambda _: [["git", "add", "-A"], ["git", "commit", "-q", "--allow-empty", "-m", "benchmark"]],
        lambda place: place.data,
        lambda place: place.repository("git"),
        lambda place: {
            "GIT_DIR": str(place.repository("git")),
            "GIT_WORK_TREE": str(place.data),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "3",
            **_git_setting(0, "gc.auto", "0"),
            **_git_setting(1, "user.name", "benchmark"),
            **_git_setting(2, "user.email", "benchmark@localhost"),
        },
    )


def dvc() -> Engine:
    """DVC, which copies (or clones, where the file system can) what it adds."""
    program = str(_dvc_folder() / "bin/dvc")
    return Engine(
        "dvc",
        lambda _: [
            [program, "init", "-q", "--no-scm"],
            [program, "config", "core.check_update", "false"],
        ],
        lambda _: [[program, "add", "-q", "tree/data"]],
        lambda place: place.base,
        lambda place: place.base / ".dvc",
        lambda place: {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(place.caches / "dvc")},
    )


ENGINES: dict[str, Callable[[], Engine]] = {"ours": ours, "restic": restic, "borg": borg, "git": git, "dvc": dvc}
"""By name; a factory needs its program to be installed."""


def install(names: Sequence[str]) -> None:
    """Make sure that the programs of these engines are there.

    Raises:
        BenchmarkError: some are missing and cannot be installed.
    """
    packages = [PACKAGES[name] for name in names if name in PACKAGES]
    environment = os.environ | {"CI": "true"}
    if subprocess.run([ROOT / "tests/system-packages", *packages], check=False, env=environment).returncode != 0:
        raise BenchmarkError("the engines named above are missing; install them, or choose others with --engines")
    if "dvc" in names and not (_dvc_folder() / "bin/dvc").exists():
        _install_dvc(_dvc_folder())


def _dvc_folder() -> Path:
    return platformdirs.user_cache_path("dotscience-benchmarks") / f"dvc-{DVC_VERSION}"


def _install_dvc(folder: Path) -> None:
    """Into a virtual environment of its own: it has many dependencies, and needs none of ours."""
    print(f"installing dvc {DVC_VERSION} into {folder}", file=sys.stderr)
    python = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", folder], [*python, f"dvc=={DVC_VERSION}"]):
        if subprocess.run(command, check=False).returncode != 0:
            raise BenchmarkError(f"dvc cannot be installed into {folder}; choose other engines with --engines")


def prepare(engine: Engine, place: Place) -> None:
    """Make the engine's repository."""
    for command in engine.prepare(place):
        run(command, engine.folder(place), environment(engine, place))


def take(engine: Engine, place: Place) -> Cost:
    """Have the engine take a snapshot."""
    costs = (run(command, engine.folder(place), environment(engine, place)) for command in engine.take(place))
    return sum(costs, start=Cost(0.0, 0.0))


def environment(engine: Engine, place: Place) -> dict[str, str]:
    """What the engine's processes inherit: paths to programs and modules, and no settings of this user."""
    home = place.caches / "home"
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(home)} | dict(engine.environment(place))


def run(command: Command, folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a program to its end.

    Raises:
        BenchmarkError: it failed; the message has the end of what it said.
    """
    log = Path(environment["HOME"]) / "output"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = log.read_text(errors="replace")[-2000:]
        raise BenchmarkError(f"`{' '.join(command)}` ended with {process.returncode}:\n{said}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime)


def size_of(repository: Path) -> int:
    """The bytes in a repository's files."""
    return sum(entry.stat(follow_symlinks=False).st_size for entry in files_below(repository))


def restic_version(text: str) -> tuple[int, ...]:
    """The first two numbers of what `restic version` prints.

    >>> restic_version("restic 0.14.0 compiled with go1.19.8 on linux/amd64")
    (0, 14)
    """
    found = re.match(r"restic (\d+)\.(\d+)", text)
    if found is None:
        raise BenchmarkError(f"`restic version` printed {text!r}, which is no version")
    return int(found[1]), int(found[2])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _git_setting(number: int, key: str, value: str) -> dict[str, str]:
    """A setting by environment (git(1), GIT_CONFIG_COUNT)."""
    return {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}

"""What it costs until user code may go on after a publish, by the size of an output that is new each time.

    python benchmarks/publish.py FOLDER [FOLDER …] [--json]

In each folder (on ext4, XFS, btrfs, …), in turn: `ds.publish()` with a committer beside it, MLflow's `log_artifact`
into its default store, and W&B's `log_artifact` offline; the peers in a virtual environment of their own. CPU time is
that of the calling process. For ours also the bytes on disk after everything is committed, by the bytes that were new.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from committer.initialise import initialise
from dotscience.client.committer import CommitterClient

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.committer import DS, PATIENCE_S, Process
from support.venvs import installed

PINS = ("mlflow==3.17.2", "wandb==0.31.0")
SWEEP = Path(__file__).with_name("publish_sweep.py")
SIZES = {1_000: 20, 5_000_000: 20, 300_000_000: 5}
"""Bytes of an output, and how often it is published."""
ROUNDS = 3
TRACKERS = ("dotscience", "mlflow", "wandb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    peers = installed("publish-peers", *PINS)[0] / "bin" / "python"
    figures = [measure(folder, size, peers) for folder in options.folders for size in SIZES]
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    print(
        "folder                size        wall ms: ours  mlflow   wandb     cpu ms: ours  mlflow   wandb   bytes/new"
    )
    for one in figures:
        wall, cpu = ([f"{one[name][what]:8.1f}" for name in TRACKERS] for what in ("wall_ms", "cpu_ms"))
        print(
            f"{one['folder']:20}{one['size']:12,}      {'  '.join(wall)}        {'  '.join(cpu)}   {one['bytes']:.2f}"
        )


def measure(folder: Path, size: int, peers: Path) -> dict[str, Any]:
    """The medians of all calls of all rounds, which the trackers take in turn."""
    calls: dict[str, list[dict[str, list[float]]]] = {name: [] for name in TRACKERS}
    stored = []
    for _ in range(ROUNDS):
        with workspace(folder) as (place, environment):
            calls["dotscience"].append(sweep(sys.executable, "dotscience", place, size, environment))
            stored.append(disk_usage(place, environment) / (size * (SIZES[size] + 1)))
        for name in ("mlflow", "wandb"):
            with tempfile.TemporaryDirectory(dir=folder) as other:
                calls[name].append(sweep(str(peers), name, Path(other), size, peer_environment(Path(other))))
    figures: dict[str, Any] = {"folder": str(folder), "size": size, "bytes": median(stored)}
    for name, rounds in calls.items():
        figures[name] = {
            f"{what}_ms": median(1000 * one for call in rounds for one in call[f"{what}_s"]) for what in ("wall", "cpu")
        }
    return figures


@contextmanager
def workspace(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A tracked folder with a committer."""
    runtime = tempfile.mkdtemp(prefix="ds-")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        environment = os.environ | {"XDG_RUNTIME_DIR": runtime, "DOTSCIENCE_CONFIG_DIR": runtime}
        initialise(Path(place))
        process = Process(Path(place), environment)
        process.wait_for_log("committer.started")
        try:
            yield Path(place), environment
        finally:
            process.stop()
            shutil.rmtree(runtime)


def sweep(python: str, tracker: str, folder: Path, size: int, environment: dict[str, str]) -> dict[str, list[float]]:
    arguments = [python, str(SWEEP), tracker, str(folder), str(size), str(SIZES[size])]
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def peer_environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "WANDB_"))}
    return kept | {"HOME": str(folder), "WANDB_SILENT": "true"}


def disk_usage(place: Path, environment: dict[str, str]) -> int:
    """Bytes in the state folder, once all runs are in commits."""
    client = CommitterClient(place, timeout_s=600)
    subprocess.run([*DS, "snapshot"], cwd=place, env=environment, check=True, capture_output=True, timeout=600)
    for _ in client.events(timeout_s=PATIENCE_S):
        if client.status()["pending_runs"] == 0:
            break
    return sum(path.stat().st_blocks * 512 for path in (place / ".dotscience").rglob("*") if path.is_file())


if __name__ == "__main__":
    main()

"""One process that writes new contents to one path and hands each over to a tracker; prints what the calls took.

Run by benchmarks/publish.py, with the Python that has the tracker: `publish_sweep.py TRACKER FOLDER SIZE COUNT`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATH = "model.bin"
BLOCK = 2**20


def write(size: int) -> None:
    """Random bytes, which nothing compresses."""
    with Path(PATH).open("wb") as file:
        file.writelines(os.urandom(min(BLOCK, size - start)) for start in range(0, size, BLOCK))


@contextmanager
def dotscience() -> Iterator[Callable[[], None]]:
    sys.stdout = sys.stderr  # where markers go: to what is there when the library is imported
    import dotscience as ds

    def publish() -> None:
        ds.publish()

    ds.start("sweep")
    ds.add_output(PATH)
    yield publish


@contextmanager
def mlflow() -> Iterator[Callable[[], None]]:
    import mlflow as library

    library.set_tracking_uri("sqlite:///mlflow.db")
    number = 0

    def log_artifact() -> None:
        nonlocal number
        number += 1
        library.log_artifact(PATH, f"step{number}")  # as an artifact of equal name would be written over

    with library.start_run():
        yield log_artifact


@contextmanager
def wandb() -> Iterator[Callable[[], None]]:
    import wandb as library

    with library.init(mode="offline", project="sweep") as run:

        def log_artifact() -> None:
            artifact = library.Artifact("model", type="model")
            artifact.add_file(PATH)
            run.log_artifact(artifact)

        yield log_artifact


def main() -> None:
    tracker, folder, size, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.chdir(folder)
    out = sys.stdout
    times, cpu = [], []
    write(size)
    with {"dotscience": dotscience, "mlflow": mlflow, "wandb": wandb}[tracker]() as hand_over:
        hand_over()  # imports and connections
        for _ in range(count):
            write(size)
            began, began_cpu = time.perf_counter(), time.process_time()
            hand_over()
            times.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
    print(json.dumps({"wall_s": times, "cpu_s": cpu}), file=out)


if __name__ == "__main__":
    main()

"""The example notebook that `ds up` offers: it runs on the base install and shows parameters, metrics and files."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE_NAME = "hello-dotscience.ipynb"

_CELLS: list[tuple[str, str]] = [
    (
        "markdown",
        (
            "# Hello, Dotscience\n\n"
            "Run the cells, then save. Each `ds.publish()` becomes a *run*: parameters, metrics and files, tied to a "
            "snapshot of this whole folder. Look at the Dotscience panel on the right, and at the hub."
        ),
    ),
    ("code", "import csv, random\n\nimport dotscience as ds"),
    ("markdown", "## 1. Make some data\n\nThe file becomes an output of this run."),
    (
        "code",
        (
            'ds.start("make noisy points on a line")\n'
            'points = ds.parameter("points", 200)\n'
            'noise = ds.parameter("noise", 0.3)\n\n'
            "generator = random.Random(7)\n"
            'with open(ds.output("points.csv"), "w", newline="") as file:\n'
            "    writer = csv.writer(file)\n"
            "    for i in range(points):\n"
            "        x = i / points\n"
            "        writer.writerow([x, 3 * x + 1 + generator.gauss(0, noise)])\n\n"
            "ds.publish()"
        ),
    ),
    (
        "markdown",
        "## 2. Fit a line\n\nIts input is the first run's output, so the hub can trace where the numbers came from.",
    ),
    (
        "code",
        (
            'ds.start("fit a line by gradient descent")\n'
            'rate = ds.parameter("learning_rate", 0.5)\n'
            'epochs = ds.parameter("epochs", 200)\n\n'
            'with open(ds.input("points.csv"), newline="") as file:\n'
            "    data = [(float(x), float(y)) for x, y in csv.reader(file)]\n\n"
            "slope = intercept = 0.0\n"
            "for _ in range(epochs):\n"
            "    errors = [slope * x + intercept - y for x, y in data]\n"
            "    slope -= rate * 2 * sum(e * x for e, (x, _) in zip(errors, data)) / len(data)\n"
            "    intercept -= rate * 2 * sum(errors) / len(data)\n\n"
            'ds.metric("loss", sum(e * e for e in errors) / len(data))\n'
            'ds.metric("slope", slope)\n'
            'ds.metric("intercept", intercept)\n'
            'ds.label("stage", "example")\n'
            "ds.publish()"
        ),
    ),
    ("markdown", "Change the learning rate, run the last cell again and save: the runs can be compared on the hub."),
]


def write_example(folder: Path) -> Path:
    """Write the example notebook into `folder` and return its path; an existing file is left as it is."""
    path = folder / FILE_NAME
    try:
        with path.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(_notebook()), indent=1) + b"\n")
    except FileExistsError:
        pass
    return path


def _notebook() -> dict[str, object]:
    return {
        "cells": [_cell(index, kind, source) for index, (kind, source) in enumerate(_CELLS)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(index: int, kind: str, source: str) -> dict[str, object]:
    cell: dict[str, object] = {
        "cell_type": kind,
        "id": f"hello-{index}",
        "metadata": {},
        "source": source.splitlines(True),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell

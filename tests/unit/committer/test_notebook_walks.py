"""Random walks over two notebooks: edits, saves by five kinds of writers, and executions. Runs are executions, exactly.

Cells print something new, what they printed before, or nothing; notebooks are saved in the middle of an execution, too;
cells are pasted from one notebook into the other, and one is copied over the other. Left out is what
docs/design/executions.md says that nobody can tell.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from datetime import timedelta
from functools import partial

import pytest
from support.notebooks import START, at, code, display, stream, text

from committer.detect.sighting import NotebookSight
from committer.notice import close_derived, notice_notebook
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal
from dotscience.notebook_cells import read_state

DOT = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"
SINCE = START - timedelta(days=1)
STEPS = 60


PATHS = ("a.ipynb", "b.ipynb")


class Author:
    """Somebody with two notebooks, kernels, and several programs to edit them with."""

    def __init__(self, seed):
        self.made = random.Random(seed)
        self.path = PATHS[0]
        self.notebooks = {
            path: [text("title"), *(code(f"cell {number}", cell_id=f"c{number}") for number in range(4))]
            for path in PATHS
        }
        self.count = self.highest = 0
        self.clock = 0.0
        self.results = 0
        self.names = 100

    @property
    def cells(self):
        return self.notebooks[self.path]

    @cells.setter
    def cells(self, cells):
        self.notebooks[self.path] = cells

    # -- edits

    def edit(self):
        """Something that is no execution; what it was."""
        edits = [self.insert, self.delete, self.move, self.copy, self.paste, self.rewrite, self.clear, self.describe]
        chosen = self.made.choice(edits)
        chosen()
        return chosen.__name__

    def place(self):
        return self.made.randrange(len(self.cells))

    def name(self):
        self.names += 1
        return f"n{self.names}"

    def insert(self):
        self.cells.insert(self.place(), code(f"inserted {self.names}", cell_id=self.name()))

    def delete(self):
        if len(self.cells) > 3:
            del self.cells[self.place()]

    def move(self):
        cell = self.cells.pop(self.place())
        self.cells.insert(self.made.randrange(len(self.cells) + 1), cell)

    def copy(self):
        cell = copy.deepcopy(self.cells[self.place()])
        self.cells.insert(self.place(), cell | ({"id": self.name()} if "id" in cell else {}))

    def paste(self):
        """A cell of the other notebook, unless it has a number and nothing else to be known by."""
        other = next(path for path in PATHS if path != self.path)
        cell = copy.deepcopy(self.made.choice(self.notebooks[other]))
        if cell["cell_type"] != "code" or cell["outputs"] or cell["execution_count"] is None:
            self.cells.insert(self.place(), cell | ({"id": self.name()} if "id" in cell else {}))

    def rewrite(self):
        self.cells[self.place()]["source"] = f"rewritten {self.name()}"

    def clear(self):
        cell = self.cells[self.place()]
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)

    def describe(self):
        self.cells.insert(0, text(self.name()))

    # -- executions

    def execute(self, writer, save_meanwhile):
        """Execute some cells, as the writer's program does; false where there are none."""
        places = [place for place, cell in enumerate(self.cells) if cell["cell_type"] == "code"]
        if not places:
            return False
        for place in sorted(self.made.sample(places, self.made.randint(1, len(places)))):
            cell = self.cells[place]
            self.number(cell, writer)
            began, self.clock = self.clock, self.clock + self.made.uniform(0.1, 3)
            cell["outputs"] = self.outputs(cell, writer)
            if writer in (lab, papermill):
                cell["metadata"]["execution"] = {
                    "iopub.execute_input": at(began),
                    "shell.execute_reply": at(self.clock),
                }
            if self.made.random() < 0.3:
                save_meanwhile()
        if self.made.random() < 0.2:
            self.count = 0  # the kernel is restarted
        self.clock += 60
        return True

    def number(self, cell, writer):
        """The kernel's next; one that was never there, where the number alone may have to tell."""
        self.count += 1
        if writer in (vs_code, nbformat):
            self.count = max(self.count, self.highest + 1)
        self.highest = max(self.highest, self.count)
        cell["execution_count"] = self.count

    def outputs(self, cell, writer):
        """New ones; or none, where times or numbers are kept; or those it had, where times are."""
        kind = self.made.choice(("new", "new", "none", "equal"))
        if kind == "none" and writer is not clean_on_save:
            return []
        if kind == "equal" and writer in (lab, papermill):
            return cell["outputs"]
        self.results += 1
        return [stream(f"{self.results}\n"), stream("more\n"), display(image__png=f"iVB{self.results}\n")]


# -- how programs save


def lab(cells):
    return cells


def vs_code(cells):
    """Joins the pieces of streams, drops the line ends of images and the metadata of outputs."""
    for cell in cells:
        outputs = cell.get("outputs", [])
        joined = "".join(one["text"] for one in outputs if one["output_type"] == "stream")
        others = [one | {"metadata": {}} for one in outputs if one["output_type"] != "stream"]
        for one in others:
            one["data"] = {kind: value.strip() for kind, value in one["data"].items()}
        if "outputs" in cell:
            cell["outputs"] = ([stream(joined)] if joined else []) + others
    return cells


def nbformat(cells):
    """Splits texts into lines and gives ids anew where they are missing or there twice."""
    seen = set()
    for number, cell in enumerate(cells):
        cell["source"] = cell["source"].splitlines(keepends=True)
        if "id" in cell and cell["id"] in seen:
            cell["id"] = f"repaired{number}"
        seen.add(cell.get("id"))
    return cells


def papermill(cells):
    for cell in cells:
        cell["metadata"]["papermill"] = {"status": "completed", "start_time": None, "end_time": None}
    return cells


def clean_on_save(cells):
    """Takes counts and times out, as hooks for Git do."""
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
            cell["metadata"] = {}
    return cells


WRITERS = (lab, vs_code, nbformat, papermill, clean_on_save)


@pytest.mark.parametrize("seed", range(24))
def test_runs_are_executions(tmp_path, seed):
    author, taken = Author(seed), []
    with ObjectStore(tmp_path / "store", min_free_bytes=0) as store:
        journal = Journal(store.folder)

        def notice(writer, document=None):
            data = document or json.dumps({"cells": writer(copy.deepcopy(author.cells)), "metadata": {}}).encode()
            author.cells = json.loads(data)["cells"]
            for cell in author.cells:
                cell["source"] = "".join(cell["source"])
            sight = NotebookSight(
                path=author.path,
                signature=hashlib.sha256(data).hexdigest(),
                saved_at=START + timedelta(seconds=author.clock),
                state=read_state(data),
                sightings=[],
            )
            notice_notebook(journal, sight, tracked_since=SINCE, derived_runs="executed")
            taken.append(data)

        def save(writer, document=None):
            notice(writer, document)
            return len(close_derived(journal, author.path, dot_id=DOT, tracked_since=SINCE))

        try:
            for author.path in PATHS:
                assert save(lab) == 0
            steps = []
            for _ in range(STEPS):
                author.path = author.made.choice(PATHS)
                writer, kind = author.made.choice(WRITERS), author.made.random()
                if kind < 0.15:
                    steps.append((author.path, "checkout"))
                    assert save(writer, author.made.choice(taken)) == 0, steps[-6:]
                elif kind < 0.6:
                    steps.append((author.path, author.edit(), writer.__name__))
                    assert save(writer) == 0, steps[-6:]
                else:
                    steps.append((author.path, "execute", writer.__name__))
                    wanted = int(author.execute(writer, partial(notice, writer)))
                    assert save(writer) == wanted, steps[-6:]
        finally:
            journal.close()

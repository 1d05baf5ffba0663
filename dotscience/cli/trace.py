"""A trace as a tree of text: each run once, with the files that lead on below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dotscience import wording

SHORT_ID = 8


class _Branch(NamedTuple):
    """A file that leads to another run, or (`run` is None) to nobody."""

    label: str
    run: str | None


def trace_lines(trace: Mapping[str, Any], *, downstream: bool) -> Iterator[str]:
    """The lines that show a trace as the hub answers it, a tree for each run that it begins with."""
    runs = {one["id"]: one for one in trace["runs"]}
    branches = _branches(trace, downstream=downstream)
    if not runs:
        yield "No run read this." if downstream else "No run made this."
    reached = {branch.run for below in branches.values() for branch in below}
    starts = [run for run in runs if run not in reached] or list(runs)[:1]
    shown = set(starts)
    for start in starts:
        yield _name(runs[start])
        if not branches[start]:
            yield "    No run used what it wrote." if downstream else "    It read nothing that is known."
        yield from _below(start, "", runs, branches, shown)
    if trace["more"]:
        yield f"There is more beyond {wording.counted(len(trace['more']), 'run')}; --depth N goes further."


def _branches(trace: Mapping[str, Any], *, downstream: bool) -> defaultdict[str, list[_Branch]]:
    found: defaultdict[str, list[_Branch]] = defaultdict(list)
    for edge in trace["edges"]:
        near, far = ("maker", "reader") if downstream else ("reader", "maker")
        found[edge[near]].append(_Branch(wording.printable(edge["path"]), edge[far]))
    for one in trace["unclaimed"]:
        found[one["run"]].append(_Branch(wording.printable(one["path"]), None))
    return found


def _below(
    run: str,
    indent: str,
    runs: Mapping[str, Any],
    branches: Mapping[str, list[_Branch]],
    shown: set[str],
) -> Iterator[str]:
    here = sorted(branches.get(run, ()), key=lambda one: one.label)
    for place, branch in enumerate(here, 1):
        fork, more = ("└── ", "    ") if place == len(here) else ("├── ", "│   ")
        if branch.run is None:
            yield f"{indent}{fork}{branch.label}: written by no run"
            continue
        is_new = branch.run not in shown
        shown.add(branch.run)
        yield f"{indent}{fork}{branch.label}: {_name(runs[branch.run])}{'' if is_new else ' (above)'}"
        if is_new:
            yield from _below(branch.run, indent + more, runs, branches, shown)


def _name(run: Mapping[str, Any]) -> str:
    title = f" {wording.printable(run['title'])}" if run["title"] else ""
    return f"run {run['id'][:SHORT_ID]}{title}"

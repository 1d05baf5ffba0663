"""What a snapshot costs: ours beside restic, borg, git and dvc, on the same files and in the same run.

    python benchmarks/snapshot.py [--quick] [--json] [--rounds 3] [--cases A,B,C] [--engines ours,restic,…] [--keep]
    python benchmarks/snapshot.py --dirty [--json]
    python benchmarks/snapshot.py --scale 1000000 [--json]

Everything happens in a folder below $TMPDIR, repositories beside the files, so that all are on one file system; it is
removed in the end. In each round every engine takes every step once, one engine after the other, and the next round
starts with another engine. A figure is the median of the rounds. Missing engines are installed as root on Debian.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from snapshot_engines import ENGINES, BenchmarkError, Engine, Place, install, prepare, size_of, take
from snapshot_living import dirty_figures, scale_figures
from snapshot_report import Figure, as_json, medians, table
from snapshot_workspaces import MIB, Case, one_file, settle, small_files, warm

CASES = {
    "A": small_files("A", 20_000, 7_900),
    "B": small_files("B", 100_000, 4_000),
    "C": one_file("C", 4096 * MIB),
}
QUICK = {"A": CASES["A"], "C": one_file("C", 512 * MIB)}
QUICK_ENGINES = ("ours", "restic", "borg")
QUICK_S = 240.0
"""What `--quick` may take: no round is begun that would end later, if it takes as long as the one before."""

SLOW_S = 120.0
"""An engine that took longer for a step takes no further ones of its case; `n` says how many rounds it took."""


class Comparison:
    """Measures engines on one case after the other; `figures` grows as it goes."""

    def __init__(self, engines: Sequence[Engine], base: Path, *, rounds: int, until: float) -> None:
        self.figures: list[Figure] = []
        self._engines = list(engines)
        self._base = base
        self._rounds = rounds
        self._until = until

    def run(self, cases: Sequence[Case]) -> None:
        """All cases; each one's share of the time is what is left of it, divided by the cases left."""
        for number, case in enumerate(cases):
            left = self._until - time.monotonic()
            self._case(case, time.monotonic() + left / (len(cases) - number))

    def _case(self, case: Case, until: float) -> None:
        place = Place(self._base / case.name)
        say(f"{case.name}: making {case.title}")
        case.make(place.data)
        took_s = 0.0
        for turn in range(self._rounds):
            if turn > 0 and time.monotonic() + took_s > until:
                say(f"{case.name}: no time is left for round {turn + 1}")
                break
            began = time.monotonic()
            self._round(case, place, turn)
            took_s = time.monotonic() - began
        shutil.rmtree(place.base)

    def _round(self, case: Case, place: Place, turn: int) -> None:
        engines = self._turn(case, turn)
        place.clear()
        case.reset(place.data)
        for engine in engines:
            prepare(engine, place)
        settle(place.data)
        for step in case.steps:
            step.change(place.data, turn)
            for engine in self._fast(case, engines):
                figure = _measure(engine, place, case.name, step.name)
                self.figures.append(figure)
                say(f"{case.name} round {turn + 1}, {step.name}, {engine.name}: {figure.wall_s:.2f} s")

    def _turn(self, case: Case, turn: int) -> list[Engine]:
        """The engines of a round: without the slow ones, and beginning with another one than the round before."""
        engines = self._fast(case, self._engines)
        first = turn % max(1, len(engines))
        return engines[first:] + engines[:first]

    def _fast(self, case: Case, engines: Sequence[Engine]) -> list[Engine]:
        slow = {one.engine for one in self.figures if one.case == case.name and one.wall_s > SLOW_S}
        return [engine for engine in engines if engine.name not in slow]


def _measure(engine: Engine, place: Place, case: str, step: str) -> Figure:
    """One snapshot, with the files in memory and nobody else's writes on their way to the disk."""
    warm(place.data)
    os.sync()
    before = size_of(engine.repository(place))
    cost = take(engine, place)
    return Figure(case, step, engine.name, cost.wall_s, cost.cpu_s, size_of(engine.repository(place)) - before)


@contextmanager
def workshop(*, keep: bool) -> Iterator[Path]:
    """A temporary folder, removed however the block ends: SIGTERM ends it as Ctrl-C does, also in the background."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    base = Path(tempfile.mkdtemp(prefix="dotscience-benchmark-"))
    try:
        yield base
    finally:
        if keep:
            say(f"kept: {base}")
        else:
            say("cleaning up")
            shutil.rmtree(base, ignore_errors=True)


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(text, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, base: Path) -> list[Figure]:
    """What the options ask for."""
    if options.dirty:
        return medians(dirty_figures(base, say))
    if options.scale:
        return medians(scale_figures(base, say, options.scale))
    return compare(options, base)


def compare(options: argparse.Namespace, base: Path) -> list[Figure]:
    """The comparison that the options ask for."""
    cases = QUICK if options.quick else CASES
    names = options.engines or (QUICK_ENGINES if options.quick else tuple(ENGINES))
    until = time.monotonic() + QUICK_S if options.quick else float("inf")
    install(names)
    comparison = Comparison([ENGINES[name]() for name in names], base, rounds=options.rounds, until=until)
    comparison.run([cases[name] for name in options.cases or cases])
    order = list(names)
    return sorted(medians(comparison.figures), key=lambda one: (one.case, order.index(one.engine)))


def names_of(known: Sequence[str]):
    """A parser of lists of these names, for argparse."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return parse


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="A and a C of 512 MiB with restic and borg, in 4 minutes")
    what.add_argument("--dirty", action="store_true", help="few changes among 100,000 files, by a living committer")
    what.add_argument("--scale", type=int, metavar="N", nargs="?", const=1_000_000, help="N files and N/100 commits")
    parser.add_argument("--cases", type=names_of(tuple(CASES)), help="which workspaces, by comma")
    parser.add_argument("--engines", type=names_of(tuple(ENGINES)), help="which engines, by comma")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--keep", action="store_true", help="leave the last case's folder where it is")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    try:
        with workshop(keep=options.keep) as base:
            figures = measure(options, base)
    except BenchmarkError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        for figure in figures:
            print(as_json(figure))
    else:
        Console().print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

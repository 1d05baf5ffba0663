"""Killing garbage collection, or filling its disk, at each call that changes something, one after the other.

Whatever the moment, every commit stays whole, and the next collection ends as if nothing had happened.
"""

from __future__ import annotations

import itertools
import os
import shutil

import pytest
from support.disk import disk
from support.hub_parts import HubParts, made
from support.pushing import START
from support.trials import KILLED, Fault, moments, trials

from committer.storage.objects import Kind
from hub_server.services.repacking import MANY

CALLS = [("pwrite64", 17), ("fdatasync", 11), ("fsync", 5), ("rename", 1), ("unlink", 5)]


@pytest.fixture(scope="module")
def tried():
    with trials("support.gc_trials") as begun:
        yield begun


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A hub's folder with small packs, one that is partly unused and one that is so as a whole; and its commits."""
    folder = tmp_path_factory.mktemp("prepared") / "hub"
    folder.mkdir()
    return folder, prepare(folder)


def prepare(folder):
    hub = HubParts(folder)
    commits = [made(hub, {"n": b"%d" % number}) for number in range(MANY)]
    commits[0].objects.add(Kind.BLOB, b"unused" * 100)
    for one in commits:
        hub.push(one)
    hub.run(hub.upload(made(hub, {"n": b"never committed"}).objects.bytes()))
    hub.end()
    return commits


def check(folder, commits):
    """Everything is there, and a collection much later leaves what is needed and nothing else."""
    for path in (folder / "packs").glob("??/*"):
        os.utime(path, (START.timestamp(),) * 2)
    hub = HubParts(folder, days=10)
    try:
        hub.packs.sweep()
        assert not list((folder / "staging").iterdir())
        for one in commits:
            assert hub.read(one.root) == one.contents
        hub.collect_all()
        assert len(hub.kept()) == 1
        for one in commits:
            assert hub.read(one.root) == one.contents
    finally:
        hub.end()


@pytest.mark.parametrize("what", ["signal=SIGKILL", "error=ENOSPC"])
@pytest.mark.parametrize(("call", "stride"), CALLS)
def test_a_fault_at_any_step_loses_nothing(prepared, tried, tmp_path, call, stride, what):
    numbers = itertools.count()

    def attempt(when):
        folder = tmp_path / f"hub{next(numbers)}"
        shutil.copytree(prepared[0], folder)
        trial = tried.run("collect", folder, fault=Fault(call, what, when))
        status = trial.wait()
        assert status == (KILLED if trial.has_struck and "KILL" in what else 0)
        check(folder, prepared[1])
        shutil.rmtree(folder)
        return trial.has_struck

    assert moments(attempt, stride) > 0


def test_a_power_cut_between_cycles_loses_nothing(tmp_path):
    with disk(tmp_path) as used:
        folder = used.root / "hub"
        folder.mkdir()
        commits = prepare(folder)
        hub = HubParts(folder)
        for hours in (0, 25, 2):
            hub.clock.advance(hours=hours)
            hub.run(hub.collect())
            with used.cut() as survived:
                check(survived / "hub", commits)
        hub.end()

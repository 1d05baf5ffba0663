"""What a dataset's ZFS can do, found by asking it."""

from __future__ import annotations

from typing import NamedTuple

from committer.storage.zfs.command import run
from dotscience.errors import NotSupported, ZfsError


class Features(NamedTuple):
    """What not every ZFS has: pools before feature flags (version 28, and zfs-fuse) have none of it."""

    written: bool
    """The property `written@<snapshot>`: how many bytes were written since."""
    bookmarks: bool
    resume: bool
    """A receive that breaks off can be gone on with (`zfs receive -s`)."""


def probe(dataset: str) -> Features:
    """Ask the installed command and the dataset's pool.

    Raises:
        ZfsError: the dataset is not there, or the pool does not answer.
    """
    flags = _pool_features(dataset.partition("/")[0])
    return Features(
        written=_knows_property(dataset, "written"),
        bookmarks="bookmarks" in flags,
        resume="extensible_dataset" in flags and _knows_property(dataset, "receive_resume_token"),
    )


def _knows_property(dataset: str, name: str) -> bool:
    try:
        run("zfs", "get", "-H", "-p", "-o", "value", name, dataset)
    except NotSupported:
        return False
    return True


def _pool_features(pool: str) -> set[str]:
    try:
        lines = run("zpool", "get", "-H", "-o", "property,value", "all", pool).splitlines()
    except ZfsError:  # before feature flags, the command has neither of the options
        return set()
    pairs = (line.split("\t") for line in lines)
    return {
        name.removeprefix("feature@")
        for name, value in pairs
        if name.startswith("feature@") and value in {"enabled", "active"}
    }

"""One dataset: its properties, versions, holds and clones. Every call runs a command and blocks until it has ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.zfs.command import run
from committer.storage.zfs.features import probe
from dotscience.errors import DatasetExists, DatasetMissing, ZfsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from committer.storage.zfs.features import Features

UNSET = "-"
MAX_VALUE = 1_000
"""Bytes of a user property that every pool takes: 8,192 today, 1,024 in old ones."""

_BASICS = ("guid", "createtxg", "userrefs")
_DIGITS = re.compile(r"[0-9]{1,20}")
"""64 bits, in decimal: `int` takes other digits as well, and fails for thousands of them."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.: /-]*")


class Version(NamedTuple):
    """A snapshot or a bookmark of a dataset."""

    name: str
    """Within the dataset, with its sign: `@name` of a snapshot, `#name` of a bookmark."""
    guid: int
    createtxg: int
    """The transaction group that it stands for: among the versions of one dataset, a later one has a higher one."""
    holds: int
    properties: Mapping[str, str]
    """Those user properties that were asked for and are set."""

    @property
    def is_snapshot(self) -> bool:
        """Whether it holds data, and not only the memory of when it was."""
        return self.name.startswith("@")


class Dataset:
    """A dataset by its name; that it exists is not known before a call says so."""

    def __init__(self, name: str) -> None:
        """`name` is `pool/…`, as `zfs list` shows it.

        Raises:
            ZfsError: it cannot be a dataset's name, and would be taken for something else.
        """
        if not _NAME.fullmatch(name):
            raise ZfsError(f"{name!r} is no dataset's name")
        self.name = name
        self._features: Features | None = None

    @property
    def features(self) -> Features:
        """What its ZFS can do; asked once.

        Raises:
            DatasetMissing: there is no such dataset.
        """
        if self._features is None:
            self._features = probe(self.name)
        return self._features

    def child(self, name: str) -> Dataset:
        """The dataset of this name directly below this one; it is in the same pool, so it can do the same."""
        made = Dataset(f"{self.name}/{name}")
        made._features = self._features
        return made

    def exists(self) -> bool:
        """Whether it is there."""
        try:
            self.property("type")
        except DatasetMissing:
            return False
        return True

    def property(self, name: str, *, of: str = "") -> str | None:
        """A property's value, in bytes or seconds where it is a number; None where it is not set.

        Args:
            name: The property.
            of: A version of the dataset (`@name`) instead of the dataset itself.
        """
        value = run("zfs", "get", "-H", "-p", "-o", "value", name, f"{self.name}{of}").rstrip("\n")
        return None if value == UNSET else value

    def set_property(self, name: str, value: str, *, of: str = "") -> None:
        """Set a property of the dataset or of one of its snapshots (`@name`)."""
        run("zfs", "set", f"{name}={value}", f"{self.name}{of}")

    def create(self, properties: Mapping[str, str]) -> None:
        """Make the dataset, and those above it that are missing."""
        run("zfs", "create", "-p", *_options(properties), self.name)

    def versions(self, properties: Sequence[str] = ()) -> list[Version]:
        """Its snapshots and bookmarks, oldest first, with those of the user `properties` that they have."""
        kinds = ("-t", "snapshot,bookmark") if self.features.bookmarks else ()
        wanted = ",".join((*_BASICS, *properties))
        text = run("zfs", "get", "-H", "-p", "-r", "-d", "1", *kinds, "-o", "name,property,value", wanted, self.name)
        return sorted(parse_versions(text, self.name), key=lambda one: (one.createtxg, one.name))

    def snapshot(self, name: str, properties: Mapping[str, str]) -> int:
        """Take the snapshot `@name`, which has these user properties from its first moment on; its guid."""
        run("zfs", "snapshot", *_options(properties), f"{self.name}@{name}")
        return _number(self.property("guid", of=f"@{name}"), "guid")

    def written_since(self, version: str, *, until: str = "") -> int:
        """How many bytes were written between two snapshots, or up to now; for pools that have `written`.

        Up to now means: as far as the pool has it on disk, so the last seconds may be missing.
        """
        return _number(self.property(f"written{version}", of=until), "written")

    def hold(self, version: str, tag: str) -> None:
        """Keep a snapshot from being destroyed; nothing happens if it has the tag already."""
        try:
            run("zfs", "hold", tag, f"{self.name}{version}")
        except DatasetExists:
            return

    def release(self, version: str, tag: str) -> None:
        """Take a hold away; nothing happens if there is no such hold or snapshot."""
        try:
            run("zfs", "release", tag, f"{self.name}{version}")
        except DatasetMissing:
            return
        except ZfsError as error:
            if "no such tag" not in str(error):
                raise

    def bookmark(self, snapshot: str, name: str) -> None:
        """Remember a snapshot as `#name`; nothing happens if there is a bookmark of that name."""
        try:
            run("zfs", "bookmark", f"{self.name}{snapshot}", f"{self.name}#{name}")
        except DatasetExists:
            return

    def destroy(self, version: str = "") -> None:
        """Destroy one of its versions, or the dataset itself; nothing happens if it is not there.

        Never destroys what depends on it: neither clones, nor children, nor snapshots of the dataset.

        Raises:
            DatasetBusy: something holds it.
        """
        try:
            run("zfs", "destroy", f"{self.name}{version}")
        except DatasetMissing:
            return

    def clone(self, snapshot: str, target: Dataset, properties: Mapping[str, str]) -> None:
        """Make `target`, in the same pool, a writable copy of a snapshot of this dataset, unless properties forbid."""
        run("zfs", "clone", *_options(properties), f"{self.name}{snapshot}", target.name)

    def resume_token(self) -> str | None:
        """Where a receive that broke off goes on; None where there is none, or no dataset."""
        try:
            return self.property("receive_resume_token") if self.features.resume else None
        except DatasetMissing:
            return None

    def abort_receive(self) -> None:
        """Drop what a receive that broke off has left; a dataset that it was making goes."""
        run("zfs", "receive", "-A", self.name)

    def mount(self) -> None:
        """Mount it at its mountpoint; nothing happens if it is mounted, as old versions do when they clone."""
        if self.property("mounted") != "yes":
            run("zfs", "mount", self.name)

    def unmount(self) -> None:
        """Unmount it.

        Raises:
            DatasetBusy: somebody uses it.
        """
        run("zfs", "unmount", self.name)

    def clones_below(self, name_starts: str) -> list[Dataset]:
        """The datasets directly below this one whose names, without the path, start like this."""
        text = run("zfs", "list", "-H", "-r", "-d", "1", "-t", "filesystem", "-o", "name", self.name)
        prefix = f"{self.name}/{name_starts}"
        return [Dataset(line) for line in text.splitlines() if line.startswith(prefix)]


def parse_versions(text: str, dataset: str) -> Iterable[Version]:
    """The versions in the output of `zfs get -H -p -o name,property,value guid,createtxg,userrefs,… DATASET`.

    Raises:
        ZfsError: that is not what it is.
    """
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("\t")
        key, _, value = rest.partition("\t")
        version = name.removeprefix(dataset)
        if version != name and version.startswith(("@", "#")):
            found.setdefault(version, {})[key] = value
    for version, values in found.items():
        yield Version(
            name=version,
            guid=_number(values.pop("guid", None), "guid"),
            createtxg=_number(values.pop("createtxg", None), "createtxg"),
            holds=int(held) if _DIGITS.fullmatch(held := values.pop("userrefs", UNSET)) else 0,
            properties={key: value for key, value in values.items() if value != UNSET},
        )


def _options(properties: Mapping[str, str]) -> Iterable[str]:
    for name, value in properties.items():
        yield from ("-o", f"{name}={value}")


def _number(value: str | None, what: str) -> int:
    if value is None or not _DIGITS.fullmatch(value):
        raise ZfsError(
            f"`zfs get` gave {value and value[:40]!r} as {what}, which is no number; is this version of ZFS known?"
        )
    return int(value)

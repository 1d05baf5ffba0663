"""What a backup consists of: its manifest, and the sum that says whether that is whole.

`manifest.json` lists the other files of the backup, and the packs that its database knows; `manifest.json.b3` is its
BLAKE3 sum in the form that `b3sum --check` reads.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from blake3 import blake3
from msgspec import Struct

from committer.storage.durability import storage_errors
from dotscience.errors import ConfigError, CorruptObject
from dotscience.workspace import write_durably
from hub_server.store.backends.backend import System

MANIFEST = "manifest.json"
SUM = "manifest.json.b3"
VERSION = 1
READ_SIZE = 4 * 2**20


class StoredFile(Struct, frozen=True, kw_only=True):
    """A file of a backup: its name there, its size in bytes and its BLAKE3 hash in hex."""

    name: str
    size: int
    blake3: str


class ListedPack(Struct, frozen=True):
    """A pack that the database knows: the hash of its bytes, in hex, and their number."""

    hash: str
    size: int

    @property
    def name(self) -> bytes:
        """The hash itself."""
        return bytes.fromhex(self.hash)


class Manifest(Struct, frozen=True, kw_only=True):
    """A backup, made at `made_at` by a hub of the version `hub`.

    `with_packs` says whether its packs are in the backup's folder; `damaged` lists those that could not be copied.
    """

    version: int = VERSION
    made_at: datetime
    hub: str
    system: System
    with_packs: bool
    files: list[StoredFile]
    packs: list[ListedPack]
    damaged: list[str]


def describe(path: Path) -> StoredFile:
    """A file as a manifest lists it; reads all of it."""
    hasher, size = blake3(), 0
    with path.open("rb") as file:
        while piece := file.read(READ_SIZE):
            hasher.update(piece)
            size += len(piece)
    return StoredFile(name=path.name, size=size, blake3=hasher.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest and its sum beside the files that it lists, durably."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    with storage_errors(folder):
        write_durably(folder / MANIFEST, data)
        write_durably(folder / SUM, f"{blake3(data).hexdigest()}  {MANIFEST}\n".encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup; its files are not looked at.

    Raises:
        CorruptObject: it is not what was written.
        ConfigError: a newer version of the hub wrote it, or there is none.
    """
    try:
        data, total = (folder / MANIFEST).read_bytes(), (folder / SUM).read_text("ascii", "replace")
    except OSError as error:
        raise ConfigError(f"{folder} is no backup that can be read ({error.strerror}: {error.filename})") from error
    if total.partition(" ")[0] != blake3(data).hexdigest():
        raise CorruptObject(f"{folder / MANIFEST} is damaged: it does not have the sum in {SUM}; use another backup")
    if msgspec.json.decode(data).get("version") != VERSION:
        raise ConfigError(f"{folder} was made by a newer version of the hub; restore it with that one")
    return msgspec.json.decode(data, type=Manifest)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Make sure that the files that a manifest lists are what they were; reads all of them.

    Raises:
        CorruptObject: one is damaged or gone.
    """
    for listed in manifest.files:
        path = folder / listed.name
        if not path.is_file() or describe(path) != listed:
            raise CorruptObject(f"{path} is damaged or gone: it is not what the manifest lists; use another backup")

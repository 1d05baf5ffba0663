"""Looking for damage in a store: is everything there that its commits refer to, and does it say what it should?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from committer.storage.damage import DAMAGE, read_error
from committer.storage.objects import Kind, references
from committer.storage.pack import hash_file, pack_path, read_index, read_record
from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

    from committer.storage.objects import Reference
    from committer.storage.store import StoreReader

_LEAVES = frozenset({Kind.BLOB, Kind.ENVIRONMENT})


class Damage(NamedTuple):
    """Something that is wrong: with what, and why."""

    what: str
    reason: str


class Verified(NamedTuple):
    """How much was looked at, and what is wrong with it."""

    packs: int
    size: int
    objects: int
    damage: list[Damage]


def verify(
    reader: StoreReader,
    commits: Iterable[bytes],
    *,
    read_data: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Verified:
    """Check the packs, and that everything is there that the commits refer to.

    Without `read_data`, packs are looked at from outside and files' contents are only looked up in the index; with it
    every byte is read and hashed. `progress` is told of the bytes of each pack that has been checked. Damage is
    collected, never raised.

    Raises:
        StorageUnavailable: something cannot be read now, which says nothing about what is stored.
    """
    sizes = reader.pack_sizes()
    damage: list[Damage] = []
    for name, size in sizes.items():
        damage += _check_pack(reader, name, size, read_data=read_data)
        if progress is not None:
            progress(size)
    walk = _Walk(reader)
    damage += walk.run(commits)
    return Verified(len(sizes), sum(sizes.values()), len(walk.seen), damage)


def _check_pack(reader: StoreReader, name: bytes, size: int, *, read_data: bool) -> Iterator[Damage]:
    what = f"pack {name.hex()}"
    try:
        found = pack_path(reader.folder, name).stat().st_size
        if found != size:
            yield Damage(what, f"has {found} bytes, not {size}")
        elif read_data:
            with reader.open_pack(name) as file:
                yield from _read_pack(file, name)
    except DAMAGE as error:
        yield Damage(what, str(error))
    except OSError as error:
        failure = read_error(what, error)
        if not isinstance(failure, DAMAGE):
            raise failure from error
        yield Damage(what, str(failure))


def _read_pack(file: IO[bytes], name: bytes) -> Iterator[Damage]:
    if hash_file(file) == name:
        return
    yield Damage(f"pack {name.hex()}", "holds other bytes than its name says")
    for entry in read_index(file):
        try:
            read_record(file.fileno(), entry)
        except CorruptObject as error:
            yield Damage(f"{_called(entry.kind)} {entry.hash.hex()}", str(error))


class _Walk:
    """Goes along all references, to each object once."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self.seen: set[bytes] = set()

    def run(self, commits: Iterable[bytes]) -> Iterator[Damage]:
        for commit in commits:
            pending: list[Reference] = [(Kind.COMMIT, commit)]
            while pending:
                kind, name = pending.pop()
                if name not in self.seen:
                    self.seen.add(name)
                    found = self._below(kind, name)
                    if isinstance(found, Damage):
                        yield found
                    else:
                        pending += found

    def _below(self, kind: Kind, name: bytes) -> Damage | list[Reference]:
        try:
            if kind not in _LEAVES:
                return list(references(kind, self._reader.get(name, kind)))
        except DAMAGE as error:
            return Damage(f"{_called(kind)} {name.hex()}", str(error))
        if self._reader.has(name):
            return []
        return Damage(f"{_called(kind)} {name.hex()}", "is in no pack of the store")


def _called(kind: Kind) -> str:
    return {Kind.BLOB: "content", Kind.CHUNKS: "chunk list", Kind.TREE: "directory"}.get(kind, kind.name.lower())

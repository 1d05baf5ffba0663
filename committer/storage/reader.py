"""Reading a snapshot: names, directories, files. Works on anything that can `get` an object: a local store or a hub's.

Paths are relative to the snapshot's root and `/`-separated. As text they carry bytes that are not UTF-8 as lone
surrogates (PEP 383), as `os.fsdecode` does. Nothing here touches the file system, and memory is bounded by one object
per level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from committer.storage.chunks import Chunk, decode_chunks
from committer.storage.tree import NOT_NAMES, EntryKind, TreeEntry, decode_tree
from dotscience.errors import CorruptObject, NoSuchPath

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLE_BLOCK = bytes(2**18)


class Reader(Protocol):
    """Where objects come from."""

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified; raises MissingObject or CorruptObject."""


class Part(NamedTuple):
    """The bytes of a file that lie in one blob: from `start` to before `stop` of the blob, which has `size` in all."""

    blob: bytes
    size: int
    start: int
    stop: int


def root_entry(root: bytes) -> TreeEntry:
    """A snapshot's root as an entry; the only one without a name."""
    return TreeEntry(b"", EntryKind.DIRECTORY, 0o755, 0, 0, root)


def resolve(reader: Reader, root: bytes, path: str) -> TreeEntry:
    """The entry at `path` below the tree `root`; "" is the root itself. Symbolic links are not followed.

    Raises:
        NoSuchPath: nothing is there, or `path` is no path of a snapshot: absolute, or with an empty, `.` or `..` part.
        MissingObject, CorruptObject: the store cannot give a directory on the way.
    """
    entry = root_entry(root)
    for name in split_path(path):
        child = decode_tree(reader.get(entry.content)).find(name) if _is_directory(entry) else None
        if child is None:
            raise NoSuchPath(f"{path!r} is not in this snapshot")
        entry = child
    return entry


def split_path(path: str) -> list[bytes]:
    """The names in a path, as bytes.

    Raises:
        NoSuchPath: no snapshot can have such a path.
    """
    if not path:
        return []
    try:
        names = path.encode("utf-8", "surrogateescape").split(b"/")
    except UnicodeEncodeError as error:
        raise NoSuchPath(f"{path!r} is not a path: {error.reason}") from error
    if any(name in NOT_NAMES for name in names):
        raise NoSuchPath(f"{path!r} is not a path inside a snapshot; write it without leading /, `.` or `..`")
    return names


def list_directory(reader: Reader, root: bytes, path: str = "") -> tuple[TreeEntry, ...]:
    """The entries of the directory at `path`, sorted by name.

    Raises:
        NoSuchPath: there is no directory at `path`.
    """
    entry = resolve(reader, root, path)
    if not _is_directory(entry):
        raise NoSuchPath(f"{path!r} is not a directory in this snapshot")
    return decode_tree(reader.get(entry.content)).entries


def read_file(reader: Reader, entry: TreeEntry, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """A file's bytes from `start` to before `stop` (default: its end), in pieces of at most one chunk.

    Only the chunks of this range are read. A range beyond the end is cut to it.

    Raises:
        NoSuchPath: the entry is not a file. Raised at the first piece, as are
        MissingObject, CorruptObject: a chunk is not there, or its size is not what the file's entry says.
    """
    for part in find_parts(reader, entry, start, stop):
        if isinstance(part, int):
            yield from zeros(part)
        elif data := _read_part(reader, part):
            yield data


def read_extents(reader: Reader, entry: TreeEntry) -> Iterator[tuple[int, bytes]]:
    """The parts of a file that are not holes, in order: where each starts, and its bytes, of at most one chunk.

    A hole costs nothing, however long it is. Raises what `read_file` does.
    """
    position = 0
    for part in find_parts(reader, entry):
        if isinstance(part, int):
            position += part
        elif data := _read_part(reader, part):
            yield position, data
            position += len(data)


def find_parts(reader: Reader, entry: TreeEntry, start: int = 0, stop: int | None = None) -> Iterator[Part | int]:
    """Where a file's bytes from `start` to before `stop` (default: its end) lie, in order; no blob is read.

    A number stands for that many zeros in a hole. A blob may turn out to have another size (`check_size`).

    Raises:
        NoSuchPath: the entry is not a file. Raised at the first part, as are
        MissingObject, CorruptObject: a list of chunks is not there, or does not fit the place that names it.
    """
    stop = entry.size if stop is None else min(stop, entry.size)
    if not entry.is_file:
        raise NoSuchPath(f"{entry.name!r} is a {entry.kind.name.lower()}, not a file")
    if entry.kind is EntryKind.CHUNKED_FILE:
        yield from _find_chunks(reader, Chunk(entry.content, entry.size), None, start, stop)
    elif start < stop:
        yield Part(entry.content, entry.size, start, stop)
    elif entry.size == 0:
        yield Part(entry.content, 0, 0, 0)


def check_size(part: Part, size: int) -> None:
    """Make sure that a blob has the size that a file's entry says.

    Raises:
        CorruptObject: it has not.
    """
    if size != part.size:
        raise CorruptObject(f"the blob {part.blob.hex()} has {size} bytes where {part.size} are expected")


def zeros(count: int) -> Iterator[bytes]:
    """The bytes of a hole, in pieces."""
    while count > 0:
        yield HOLE_BLOCK[:count]
        count -= len(HOLE_BLOCK)


def walk(reader: Reader, root: bytes) -> Iterator[tuple[bytes, TreeEntry]]:
    """Every entry below the tree `root` with its path, each directory before what is in it, names in byte order.

    A hostile snapshot can name one directory from many places, so put a limit on how many entries you take.
    """
    pending = [(b"", root_entry(root))]
    while pending:
        path, entry = pending.pop()
        if path:
            yield path, entry
        if _is_directory(entry):
            prefix = path + b"/" if path else b""
            children = decode_tree(reader.get(entry.content)).entries
            pending.extend((prefix + child.name, child) for child in reversed(children))


def _is_directory(entry: TreeEntry) -> bool:
    return entry.kind is EntryKind.DIRECTORY


def _find_chunks(reader: Reader, chunk: Chunk, level: int | None, start: int, stop: int) -> Iterator[Part | int]:
    """The parts from `start` to `stop` of one chunk or list; `level` is that of the list expected, -1 for a blob."""
    if start >= stop:
        return
    if chunk.hash is None:
        yield stop - start
        return
    if level == -1:
        yield Part(chunk.hash, chunk.size, start, stop)
        return
    chunks = decode_chunks(reader.get(chunk.hash))
    if chunks.size != chunk.size or level not in (None, chunks.level):
        raise CorruptObject(f"the chunk list {chunk.hash.hex()} does not fit the place that names it")
    for one in chunks.chunks:
        yield from _find_chunks(reader, one, chunks.level - 1, max(start, 0), min(stop, one.size))
        start, stop = start - one.size, stop - one.size


def _read_part(reader: Reader, part: Part) -> bytes:
    data = reader.get(part.blob)
    check_size(part, len(data))
    return data if part.stop - part.start == len(data) else data[part.start : part.stop]

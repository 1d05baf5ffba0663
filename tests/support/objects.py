"""Objects in memory, and trees made of them: a `Reader` is anything with `get`."""

from __future__ import annotations

from committer.storage.codec import digest
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from dotscience.errors import MissingObject


class Objects(dict):
    """Objects by hash. The `failing`-th call of `get` raises `error`; by default none does."""

    failing = 0
    error: type[BaseException] = KeyboardInterrupt

    def get(self, name: bytes) -> bytes:
        self.failing -= 1
        if self.failing == 0:
            raise self.error("now")
        if name not in self:
            raise MissingObject(name.hex())
        return self[name]

    def put(self, data: bytes) -> bytes:
        self[digest(data)] = data
        return digest(data)

    def file(self, name: bytes, data: bytes, *, mode: int = 0o644, mtime_ns: int = 0, **fields) -> TreeEntry:
        return TreeEntry(name, EntryKind.FILE, mode, len(data), mtime_ns, self.put(data), **fields)

    def folder(self, name: bytes, *entries: TreeEntry, mode: int = 0o755) -> TreeEntry:
        return TreeEntry(name, EntryKind.DIRECTORY, mode, 0, 0, self.put(encode_tree(entries)))

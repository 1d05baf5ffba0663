"""What it takes to push to a hub by hand: objects, packs, and the hub's time."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from committer.storage.objects import Kind, digest, encode_commit
from committer.storage.pack import PackWriter, pack_path
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from dotscience.record import Commit, RunRecord, encode_json

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    """The hub's time; tests let it pass, or set the clock while none passes."""

    def __init__(self) -> None:
        self.now = START
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)
        self.seconds += timedelta(**by).total_seconds()

    def set(self, **by: float) -> None:
        """Set the clock forward or back."""
        self.now += timedelta(**by)


class ObjectsToPush:
    """Objects on their way into a pack."""

    def __init__(self) -> None:
        self.objects: dict[bytes, tuple[Kind, bytes]] = {}

    def add(self, kind: Kind, data: bytes) -> bytes:
        name = digest(data)
        self.objects[name] = (kind, data)
        return name

    def add_tree(self, files: dict[str, bytes]) -> bytes:
        entries = [
            TreeEntry(name.encode(), EntryKind.FILE, 0o644, len(data), 10**18, self.add(Kind.BLOB, data))
            for name, data in files.items()
        ]
        return self.add(Kind.TREE, encode_tree(entries))

    def add_commit(self, project: Any, records: tuple[RunRecord, ...], files: dict[str, bytes], **changes: Any) -> str:
        """A commit in the `dot_id` of a project, on top of its `head`; its id."""
        runs = [(one.run_id, self.add(Kind.RUN, encode_json(one))) for one in records]
        commit = Commit(
            dot_id=project.dot_id,
            parents=[bytes.fromhex(project.head)] if project.head else [],
            root=self.add_tree(files),
            runs=runs,
            created_at=START,
            message="a commit",
            author="someone",
            client="tests",
            consistency="stable",
        )
        return self.add(Kind.COMMIT, encode_commit(msgspec.structs.replace(commit, **changes))).hex()

    def bytes(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            writer = PackWriter(Path(folder))
            for name, (kind, data) in self.objects.items():
                writer.add(kind, name, data)
            return pack_path(Path(folder), writer.seal().hash).read_bytes()

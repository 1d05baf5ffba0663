"""What callers of the original's file API have uploaded since their last commit.

The original's client uploads its outputs first and commits then, on other connections, and never looks at what became
of the uploads. So a commit waits for the uploads that its caller began before it, fails where one was refused, and
takes what its caller uploaded even where somebody else has put another file in its place meanwhile.

All of it is kept in memory: after a restart of the hub a commit takes what the workspace holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from dotscience.record import FileRef
from hub_server.content.paths import Path
from hub_server.domain.problems import Problem
from hub_server.services.dot_locks import locked
from hub_server.services.upload_content import UploadContent

MAX_DEPOSITS = 64
"""So many are kept; beyond, the oldest that nothing arrives for is forgotten."""
MAX_NAMES = 20_000
"""Names of files that one deposit remembers; where there were more, they stay where they were put."""
REMEMBERED_S = 3600.0
REFUSAL_REMEMBERED_S = 600.0
SETTLE_S = 600.0
"""How long a commit waits for its caller's own uploads."""


class Refusal(Struct, frozen=True):
    """Why an upload was not taken in, and when (monotonic seconds)."""

    reason: str
    is_archive: bool
    at: float


class Deposit:
    """One caller's uploads to one dot since its last commit there. Belongs to the event loop.

    Attributes:
        names: The files that were uploaded.
        folders: Those into which archives were unpacked, in that order.
        root: The tree of the workspace after the last of them.
    """

    def __init__(self) -> None:
        self.names: set[Path] = set()
        self.folders: list[Path] = []
        self.root: bytes | None = None
        self.used_at = time.monotonic()
        self._refused: dict[Path, Refusal] = {}
        self._arriving: set[asyncio.Future[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is arriving."""
        return not self._arriving

    def begin(self) -> asyncio.Future[None]:
        """An upload arrives; until the future is done."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arriving.add(done)
        done.add_done_callback(self._arriving.discard)
        return done

    def keep(self, path: Path, content: UploadContent, root: bytes, *, is_archive: bool) -> None:
        """An upload to `path` was taken in."""
        self._refused.pop(path, None)
        self.root = root
        if is_archive:
            self.folders.append(path)
        if len(self.names) + len(content.entries) <= MAX_NAMES:
            self.names.update(name for name, _ in content.entries)

    def refuse(self, path: Path, reason: str, *, is_archive: bool) -> None:
        """An upload to `path` was not taken in."""
        self._refused[path] = Refusal(reason, is_archive, time.monotonic())

    async def settle(self) -> None:
        """Wait until the uploads that have begun are taken in or refused.

        Raises:
            Problem: locked, where one takes too long.
        """
        if self._arriving:
            _, pending = await asyncio.wait(self._arriving, timeout=SETTLE_S)
            if pending:
                raise locked(None)

    def check(self, outputs: Sequence[FileRef]) -> None:
        """Make sure that none of these files was refused, as runs that are about to be committed name them.

        Where the workspace lacks one of them, any archive that was refused is taken for the reason.

        Raises:
            Problem: upload-refused.
        """
        oldest = time.monotonic() - REFUSAL_REMEMBERED_S
        paths = [raw_path(file.path) for file in outputs]
        some_lack = any(file.missing or file.outside for file in outputs)
        for path, refusal in list(self._refused.items()):
            concerns = any(one[: len(path)] == path for one in paths) or (refusal.is_archive and some_lack)
            if refusal.at >= oldest and concerns:
                raise Problem("upload-refused", f"nothing was recorded, as an upload was refused: {refusal.reason}")

    def forget_refusals(self) -> None:
        """They were told."""
        self._refused.clear()


def raw_path(key: str) -> Path:
    """The names in a path as it came, whether or not a workspace can have it."""
    return tuple(key.encode("utf-8", "surrogateescape").split(b"/"))


class Deposits:
    """All deposits, by dot and credential. Belongs to the event loop."""

    def __init__(self) -> None:
        self._deposits: dict[tuple[str, str], Deposit] = {}

    def of(self, dot_id: str, credential: str) -> Deposit:
        """The deposit, begun where there is none."""
        deposit = self._deposits.setdefault((dot_id, credential), Deposit())
        deposit.used_at = time.monotonic()
        self._forget_old()
        return deposit

    def forget(self, dot_id: str, credential: str) -> None:
        """What was uploaded is committed."""
        found = self._deposits.get((dot_id, credential))
        if found is not None and found.is_idle:
            del self._deposits[dot_id, credential]

    def _forget_old(self) -> None:
        oldest = time.monotonic() - REMEMBERED_S
        idle = sorted((one.used_at, key) for key, one in self._deposits.items() if one.is_idle)
        too_many = len(self._deposits) - MAX_DEPOSITS
        for number, (used_at, key) in enumerate(idle):
            if used_at < oldest or number < too_many:
                del self._deposits[key]

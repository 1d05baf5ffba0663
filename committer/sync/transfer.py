"""One attempt to bring the hub up to date: compare heads, send packs, then the commits in order. Blocking calls.

Everything can be repeated: packs are named by their content, a commit that the hub has is answered alike, and a branch
moves only from the parent that we expect. What is remembered between attempts only saves questions; whenever the hub's
answers contradict it, it is dropped and asked again.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from committer.log import get_logger
from committer.storage.index import disk_errors
from committer.storage.pack import pack_path
from committer.storage.store import StoreReader
from committer.sync.journal import CommitRow, Journal
from committer.sync.lost import Place, collect, describe_lost, places_of
from committer.sync.pacing import Uplink
from committer.sync.uploads import Meter, PackBody, Sent, Uploads
from dotscience.client.hub import DotState, HubClient, chunked
from dotscience.client.problems import missing_objects
from dotscience.errors import Conflict, HubError, Invalid

log = get_logger(__name__)

MAIN = "main"
MAX_FORKS = 1_000
MAX_LOST = 9_000
"""A hub is told of 10,000 in one commit at most, and names 1,000 at a time."""


class Target(Struct, frozen=True, kw_only=True):
    """Where to push, and as whom. `host` names the fork branches of this machine.

    `root` is the workspace, where it is here.
    """

    url: str
    project_id: str
    token: str | None
    dot_id: str
    host: str
    root: Path | None = None


class Transfer:
    """Pushes one workspace's history. Every method blocks and runs on the thread that made the transfer.

    `progress` is called after each pack and each commit that the hub accepted, on that thread. `meter` is told of every
    piece of a pack, on the threads that send them.
    """

    def __init__(
        self,
        store_folder: Path,
        journal: Journal,
        target: Target,
        uplink: Uplink,
        *,
        progress: Callable[[], None],
        meter: Meter,
    ) -> None:
        self._store_folder = store_folder
        self._journal = journal
        self._target = target
        self._uplink = uplink
        self._progress = progress
        self._meter = meter

    def run(self) -> None:
        """Bring the hub up to date; returns when it has every commit that was here at the start.

        Raises:
            HubUnavailable: it does not answer; try again later.
            HubError: it refuses.
        """
        with self._client() as hub:
            state = hub.dot(self._target.dot_id)
            self._heed_epoch(hub, str(state.gc_epoch))
            branch, expected, todo = self._plan(state)
            if not todo:
                return
            self._send_packs(hub)
            for commit in todo:
                self._post(hub, commit, branch, expected)
                expected = commit.id

    def _client(self) -> HubClient:
        return HubClient(self._target.url, self._target.token)

    def _heed_epoch(self, hub: HubClient, epoch: str) -> None:
        """Where the hub's epoch moved on, it has lost objects: what it found damaged and we still have is sent again.

        What it has collected because no commit needed it is missed, if at all, when a commit is posted.
        """
        if self._journal.get("gc_epoch") == epoch:
            return
        sent: set[bytes] = set()
        while self._send_again(hub.damaged(self._target.dot_id), sent):
            log.warning("hub.mended", packs=len(sent))
        self._journal.put({"gc_epoch": epoch})

    def _plan(self, state: DotState) -> tuple[str, str | None, list[CommitRow]]:
        """The branch to move, the head that it has, and the commits to move it along.

        A new fork gets the whole history: its commits are most probably there, but nothing proves it.
        """
        commits = self._journal.commits()
        numbers = {commit.id: commit.number for commit in commits}
        branch = self._journal.get("branch") or MAIN
        head = state.branches.get(branch)
        if head is not None and head not in numbers:
            branch, head = self._fork(state, head), None
        done = numbers[head] if head is not None else 0
        if head is not None or branch == MAIN:
            self._heed_head(done, commits)
        return branch, head, [commit for commit in commits if commit.number > done]

    def _heed_head(self, done: int, commits: list[CommitRow]) -> None:
        """Correct what we believe: a hub restored from a backup has less, one whose answer we lost has more."""
        believed = max((commit.number for commit in commits if commit.pushed), default=0)
        if done < believed:
            log.warning("hub.lost_commits", believed=believed, found=done)
            self._journal.forget_pushed_packs()
        if done != believed:
            self._journal.set_pushed_up_to(done)
            self._progress()

    def _fork(self, state: DotState, head: str) -> str:
        """A new branch of our own: someone else moved the one that we were on."""
        host = re.sub(r"[^A-Za-z0-9.-]", "-", self._target.host)[:64] or "unknown"
        names = (f"{MAIN}~fork-{host}-{number}" for number in range(1, MAX_FORKS))
        branch = next(name for name in names if name not in state.branches)
        self._journal.put({"branch": branch})
        log.warning("hub.forked", branch=branch, head=head)
        return branch

    def _send_packs(self, hub: HubClient) -> None:
        """Upload every pack that holds an object which the hub lacks, a few at a time."""
        pushed = self._journal.pushed_packs()
        with StoreReader(self._store_folder) as store, self._uploads() as uploads:
            sizes = {pack: size for pack, size in store.pack_sizes().items() if pack.hex() not in pushed}
            self._meter.expect(sum(sizes.values()))
            for pack, size in sizes.items():
                if self._is_wanted(hub, store, pack):
                    uploads.add(pack)
                else:
                    self._meter.expect(-size)
                    self._journal.mark_pack_pushed(pack.hex())

    def _send_again(self, hashes: Iterable[bytes], sent: set[bytes]) -> bool:
        """Upload the packs that hold these objects and are not among those `sent` already; whether there were any."""
        with StoreReader(self._store_folder) as store:
            sizes = store.pack_sizes()
            packs = [pack for pack in store.packs_with(hashes) if pack in sizes and pack not in sent]
            self._meter.expect(sum(sizes[pack] for pack in packs))
            with self._uploads() as uploads:
                for pack in packs:
                    uploads.add(pack)
        sent.update(packs)
        return bool(packs)

    def _is_wanted(self, hub: HubClient, store: StoreReader, pack: bytes) -> bool:
        hashes = [entry.hash for entry in store.objects_in_pack(pack)]
        return not all(all(hub.have(self._target.dot_id, part).present) for part in chunked(hashes))

    def _uploads(self) -> Uploads:
        return Uploads(self._put, self._note_put, width=self._uplink.width)

    def _put(self, pack: bytes, stop: threading.Event) -> None:
        """Upload one pack; on a thread of the uploads."""
        with (
            StoreReader(self._store_folder) as store,
            store.open_pack(pack) as file,
            PackBody(file, self._uplink.pacer, self._meter, stop) as body,
            self._client() as hub,
        ):
            hub.put_pack(self._target.dot_id, pack.hex(), body)
            body.seek(0, os.SEEK_END)  # a hub that has the pack may have answered before it read all of it

    def _note_put(self, pack: bytes) -> None:
        self._journal.mark_pack_pushed(pack.hex())
        log.info("pack.pushed", pack=pack.hex())
        self._progress()

    def _post(self, hub: HubClient, commit: CommitRow, branch: str, expected: str | None) -> None:
        sent: set[bytes] = set()
        collected: set[bytes] = set()
        lost: dict[bytes, bytes] = {}
        while True:
            try:
                answer = hub.post_commit(
                    self._target.dot_id, commit.id, branch=branch, expected_parent=expected, lost=list(lost)
                )
                break
            except Invalid as error:
                missing = missing_objects(error)
                if self._send_again(missing, sent):
                    log.warning("hub.missing_objects", commit=commit.id, packs=len(sent))
                    continue
                places = self._places(commit, set(missing) - collected - lost.keys())
                if not places or len(lost) > MAX_LOST:
                    raise
                if not self._send_collected(places, collected):
                    lost |= {place.name: place.path for place in places}
        for run in answer.refused:
            log.error("run.refused", run_id=run.run_id, commit=commit.id, reason=run.reason)
        with self._journal.transaction():
            self._journal.note_refused({run.run_id: run.reason for run in answer.refused})
            if lost:
                self._note_lost(commit, lost)
            self._journal.mark_pushed_up_to(commit.number)
        log.info("commit.pushed", commit=commit.id, branch=branch)
        self._progress()

    def _places(self, commit: CommitRow, missing: Collection[bytes]) -> list[Place]:
        if not missing:
            return []
        with StoreReader(self._store_folder) as store:
            return places_of(store, commit.id, missing)

    def _send_collected(self, places: list[Place], collected: set[bytes]) -> bool:
        """Upload what the workspace has of contents that were dropped here; whether it has any."""
        if self._target.root is None:
            return False
        with TemporaryDirectory(dir=self._store_folder, prefix="collected-") as name:
            folder = Path(name)
            pack = collect(folder, self._target.root, places)
            if pack is None:
                return False
            with pack_path(folder, pack.hash).open("rb", buffering=0) as file, self._client() as hub:
                hub.put_pack(self._target.dot_id, pack.hash.hex(), file)
        collected.update(entry.hash for entry in pack.entries)
        log.warning("hub.contents_collected", blobs=len(pack.entries))
        return True

    def _note_lost(self, commit: CommitRow, lost: dict[bytes, bytes]) -> None:
        described = describe_lost(commit.id, lost.values())
        log.error("hub.contents_lost", commit=commit.id, files=described)
        self._journal.note_lost(commit.id, described)


def push(
    store_folder: Path, target: Target, uplink: Uplink, *, progress: Callable[[], None], sent: Callable[[Sent], None]
) -> None:
    """One attempt, with a journal of its own; a head that moves meanwhile is met by planning again, a few times.

    `progress` is called on this thread after each pack and each commit that the hub accepted, `sent` a few times per
    second on any while packs are sent.

    Raises:
        HubUnavailable: the hub does not answer; try again later.
        HubError: it refuses.
        SnapshotError: the store cannot be read, or the journal not be written.
    """
    with disk_errors(store_folder), closing(Journal(store_folder)) as journal:
        transfer = Transfer(store_folder, journal, target, uplink, progress=progress, meter=Meter(sent))
        for _ in range(3):
            try:
                transfer.run()
                return
            except Conflict as error:
                log.warning("hub.head_moved", head=error.problem.get("head"))
        raise HubError("the branch on the hub keeps moving while we push to it; the next attempt is made later")

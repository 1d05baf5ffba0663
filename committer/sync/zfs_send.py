"""The fast path between two ZFS machines that trust each other: what `zfs send` writes, the hub receives.

It spares nothing of the ordinary push, which makes the commit known; the hub gets the dataset besides, block for block.
Versions are matched by guid. What the last stream was is never remembered: each attempt asks the hub what it has, so an
answer that got lost costs a question. From start to end of a stream its two snapshots are held.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from committer.log import get_logger
from committer.storage.zfs.streams import (
    Token,
    estimate,
    read_token,
    resume_arguments,
    send_arguments,
    sending,
)
from dotscience.client.hub import HubClient, Timeouts
from dotscience.errors import Conflict, HubUnavailable, Invalid, ResumeTokenInvalid, ZfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from committer.storage.zfs.dataset import Dataset, Version
    from committer.sync.transfer import Target
    from dotscience.client.hub import ZfsState

log = get_logger(__name__)

ATTEMPTS = 5
PAUSE_S = 0.5
"""Times the number of the attempt: a hub that lost the connection needs a moment to put away what arrived."""

STREAM_TIMEOUTS = Timeouts(connect_s=60.0, read_s=600.0)
"""The first also bounds how long the hub's pool may keep a piece of the stream waiting, the second its last answer."""

STEP_HOLD = "dotscience-sending"
SENT_HOLD = "dotscience-sent"
SENT_BOOKMARK = "dotscience-sent-"


class Step(NamedTuple):
    """One stream to send: the snapshot `to`, after what the hub has as `base`, or the rest of an interrupted one."""

    to: Version
    base: Version | None
    token: Token | None


def plan(dataset: str, versions: list[Version], wanted: Version, state: ZfsState, token: Token | None) -> Step | None:
    """The next stream on the way to the hub having `wanted`; None when it has.

    An interrupted stream goes first, if it is one of this dataset's: a hub cannot make us send anything else. Otherwise
    the newest version that both have is the base; where there is none, everything is sent.

    Args:
        dataset: The dataset's name.
        versions: Its snapshots and bookmarks, oldest first.
        wanted: One of the snapshots.
        state: What the hub has.
        token: The hub's token, if this machine can go on with it.
    """
    theirs = {int(guid) for guid in state.guids}
    if wanted.guid in theirs:
        return None
    if token is not None:
        interrupted = next((one for one in versions if _is_of(token, dataset, one)), None)
        if interrupted is not None:
            base = next((one for one in reversed(versions) if one.guid == token.from_guid), None)
            return Step(interrupted, base, token)
    earlier = [one for one in versions if one.createtxg < wanted.createtxg and one.guid in theirs]
    return Step(wanted, earlier[-1] if earlier else None, None)


def _is_of(token: Token, dataset: str, version: Version) -> bool:
    return token.to_guid == version.guid and token.to_name == f"{dataset}{version.name}"


def send(
    dataset: Dataset, snapshot: str, target: Target, *, paced: Callable[[Iterator[bytes]], Iterator[bytes]] = iter
) -> bool:
    """Bring the hub's copy of the dataset up to a snapshot (`@name`); whether anything had to be sent.

    `paced` is given the pieces of every stream, and gives them back when they may go; what it raises ends the attempt.

    Raises:
        NotFound: the hub takes no streams, or not from this token.
        HubUnavailable: it does not answer; what arrived there is kept, and the next call goes on.
        HubError: it refuses, or its pool is full (`HubFull`).
        ZfsError: this side cannot send.
    """
    with HubClient(target.url, target.token, timeouts=STREAM_TIMEOUTS, retries=0) as hub:
        sender = _Sender(dataset, hub, target.dot_id, paced)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return sender.bring_up_to(snapshot)
            except (HubUnavailable, Invalid, Conflict) as error:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(PAUSE_S * attempt)
                log.warning("zfs.stream_broken", dataset=dataset.name, attempt=attempt, error=str(error))
    raise AssertionError("the loop above returns or raises")


class _Sender:
    """Sends what one dataset has to one hub."""

    def __init__(
        self, dataset: Dataset, hub: HubClient, dot_id: str, paced: Callable[[Iterator[bytes]], Iterator[bytes]]
    ) -> None:
        self._dataset = dataset
        self._hub = hub
        self._dot_id = dot_id
        self._paced = paced

    def bring_up_to(self, snapshot: str) -> bool:
        has_sent = False
        while True:
            versions = self._dataset.versions()
            wanted = next((one for one in versions if one.name == snapshot), None)
            if wanted is None:
                raise ZfsError(f"{self._dataset.name} has no snapshot {snapshot} to send")
            state = self._hub.zfs_state(self._dot_id)
            step = plan(self._dataset.name, versions, wanted, state, _usable(state.resume_token))
            if step is None:
                self._remember(wanted, versions)
                return has_sent
            self._send(step)
            has_sent = True

    def _send(self, step: Step) -> None:
        base = step.base.name if step.base else None
        arguments = send_arguments(self._dataset.name, step.to.name, base)
        if step.token is not None:
            arguments = resume_arguments(step.token.text)
        size = None if step.token else estimate(arguments)
        log.info("zfs.sending", snapshot=step.to.name, base=base, resumed=step.token is not None, size_bytes=size)
        with self._held(step), sending(arguments) as pieces:
            self._hub.send_zfs(
                self._dot_id,
                self._paced(pieces),
                to_guid=step.to.guid,
                from_guid=step.base.guid if step.base else None,
                resume=step.token is not None,
            )

    @contextmanager
    def _held(self, step: Step) -> Iterator[None]:
        """Keep both ends of a stream; a crash leaves the holds until a later one has arrived."""
        ends = [one.name for one in (step.to, step.base) if one is not None and one.is_snapshot]
        for name in ends:
            self._dataset.hold(name, STEP_HOLD)
        try:
            yield
        finally:
            for name in ends:
                self._dataset.release(name, STEP_HOLD)

    def _remember(self, sent: Version, versions: list[Version]) -> None:
        """Keep what the next stream begins at: as a bookmark where there are such, else as a snapshot that is held."""
        for one in versions:
            if one.holds:
                self._dataset.release(one.name, STEP_HOLD)
        if self._dataset.features.bookmarks:
            prefix = f"{SENT_BOOKMARK}{self._dot_id}-"
            name = f"{prefix}{sent.guid:x}"
            self._dataset.bookmark(sent.name, name)
            for one in versions:
                if one.name.startswith(f"#{prefix}") and one.name != f"#{name}":
                    self._dataset.destroy(one.name)
            return
        self._dataset.hold(sent.name, SENT_HOLD)
        for one in versions:
            if one.is_snapshot and one.holds and one.name != sent.name:
                self._dataset.release(one.name, SENT_HOLD)


def _usable(token: str | None) -> Token | None:
    if token is None:
        return None
    try:
        return read_token(token)
    except ResumeTokenInvalid as error:
        log.warning("zfs.token_invalid", error=str(error))
        return None

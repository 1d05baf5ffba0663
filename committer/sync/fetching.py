"""Reading contents that were dropped here to make room, or are damaged: they come from the hub, a batch at a time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from committer.log import get_logger
from committer.storage.pack import parse_records
from dotscience.errors import CorruptObject, EvictedObject, HubError, MissingObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from committer.storage.store import StoreReader
    from dotscience.client.hub import HubClient

log = get_logger(__name__)

BATCH = 256
BATCH_BYTES = 8 * 2**20
KEPT_BYTES = 64 * 2**20


class FetchingReader:
    """A `Reader` of a store, and of the hub for what was dropped from it or is damaged there.

    What was put into one pack is mostly read together, so with each object those after it are fetched. They are kept
    in memory only, and every one was verified. A hub that fails once is not asked again. Belongs to one thread.
    """

    def __init__(self, store: StoreReader, open_hub: Callable[[], HubClient], dot_id: str) -> None:
        """`open_hub` is called when something is missing for the first time."""
        self._store = store
        self._open_hub = open_hub
        self._dot_id = dot_id
        self._hub: HubClient | None = None
        self._failure = ""
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._hub is not None:
            self._hub.close()

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified.

        Raises:
            EvictedObject: it was dropped here, and the hub does not give it; the text says why.
            MissingObject, CorruptObject: as the store does, and the hub does not give it either.
        """
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        try:
            return self._store.get(name)
        except (MissingObject, CorruptObject) as error:
            self._fetch(name)
            if name in self._kept:
                if not isinstance(error, EvictedObject):
                    log.warning("object.damaged_here", error=str(error), read_from="the hub")
                return self._kept[name]
            reason = self._failure or "the hub does not have it"
            if isinstance(error, EvictedObject):
                raise EvictedObject(f"the content was dropped here to make room, and {reason}") from error
            raise type(error)(f"{error}; {reason}") from error

    def _fetch(self, name: bytes) -> None:
        """Get an object, and some of those that may be wanted next."""
        if self._failure:
            return
        wanted = self._batch(name)
        try:
            self._hub = self._hub or self._open_hub()
            answer = self._hub.objects(self._dot_id, wanted)
            records = [(record.entry.hash, record.data) for record in parse_records(answer.data)]
        except (HubError, CorruptObject) as error:
            self._failure = f"the hub does not give it back: {error}"
            return
        log.debug("objects.fetched", asked=len(wanted), answered=answer.answered, got=len(records))
        for found, data in reversed(records):  # so that the one that is wanted now is the last to go
            if found in wanted:
                self._keep(found, data)

    def _batch(self, name: bytes) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for following, plain in self._store.following(name, BATCH):
            size += plain
            if batch and size > BATCH_BYTES:
                break
            batch.append(following)
        return batch

    def _keep(self, name: bytes, data: bytes) -> None:
        self._size += len(data) - len(self._kept.pop(name, b""))
        self._kept[name] = data
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])

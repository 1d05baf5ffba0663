"""Reading contents that were dropped here to make room, or are damaged: they come from the hub, a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from committer.log import get_logger
from committer.storage.recent_objects import RecentObjects
from committer.sync.object_download import BATCH_BYTES, KEPT_BYTES, ObjectDownload
from dotscience.errors import CorruptObject, EvictedObject, HubError, MissingObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from committer.storage.store import StoreReader
    from dotscience.client.hub import HubClient

log = get_logger(__name__)

BATCH = 256


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
        self._recent = RecentObjects(KEPT_BYTES)

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
        if (known := self._recent.get(name)) is not None:
            return known
        try:
            return self._store.get(name)
        except (MissingObject, CorruptObject) as error:
            fetched = self._fetch(name)
            if fetched is not None:
                if not isinstance(error, EvictedObject):
                    log.warning("object.damaged_here", error=str(error), read_from="the hub")
                return fetched
            reason = self._failure or "the hub does not have it"
            if isinstance(error, EvictedObject):
                raise EvictedObject(f"the content was dropped here to make room, and {reason}") from error
            raise type(error)(f"{error}; {reason}") from error

    def _fetch(self, name: bytes) -> bytes | None:
        """Get an object, if the hub has it, and some of those that may be wanted next."""
        if self._failure:
            return None
        fetched = None
        try:
            self._hub = self._hub or self._open_hub()
            for found, data in ObjectDownload(self._hub, self._dot_id).fetch(self._batch(name)):
                self._recent.put(found, data)
                fetched = data if found == name else fetched
        except (HubError, CorruptObject) as error:
            self._failure = f"the hub does not give it back: {error}"
        return fetched

    def _batch(self, name: bytes) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for following, plain in self._store.following(name, BATCH):
            size += plain
            if batch and size > BATCH_BYTES:
                break
            batch.append(following)
        return batch

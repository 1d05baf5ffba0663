"""The objects that were read last, kept in memory for whoever reads them again, or in parts."""

from __future__ import annotations

import threading
from collections import OrderedDict


class RecentObjects:
    """Objects by their hashes, up to `capacity` bytes in all. Safe to use from any thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._objects: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: bytes) -> bytes | None:
        """The object, if it is still here."""
        with self._lock:
            found = self._objects.get(name)
            if found is not None:
                self._objects.move_to_end(name)
            return found

    def put(self, name: bytes, data: bytes) -> None:
        """Remember an object, at the cost of those that were not asked for the longest."""
        with self._lock:
            self._size += len(data) - len(self._objects.pop(name, b""))
            self._objects[name] = data
            while self._size > self._capacity:
                self._size -= len(self._objects.popitem(last=False)[1])

"""What the parts of the hub's client have in common: a call with a JSON answer, and lists in pages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    import requests

T = TypeVar("T")


class Calls(ABC):
    """The transport, as far as groups of calls need it; `HubClient` has it."""

    @abstractmethod
    def _call(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        """A call whose answer is JSON of this kind."""

    @abstractmethod
    def _send(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """A call with any answer; with `stream` its body is read by whoever gets it."""

    @abstractmethod
    def _pages(self, path: str, kind: type[T], asked: dict[str, str] | None = None) -> Iterator[T]:
        """The items of a list, whose pages are fetched as they are needed."""


def path_of(*parts: str) -> str:
    """A path of the API; parts that are names of things may hold anything."""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)

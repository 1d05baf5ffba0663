"""An operation: one method on one path, declared once.

The declaration yields the route, the checks before the function runs (permission, visibility, query, body), the shape
of the answer, and the operation's part of the OpenAPI document. What the declaration does not say cannot happen.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from dotscience.errors import ConfigError
from hub_server.domain.problems import PROBLEM_TYPES
from hub_server.domain.scopes import ACCESS_LEVELS, SCOPES, Caller
from hub_server.domain.types import AccountInfo
from hub_server.services.services import Services
from hub_server.store.projects import DotRow, ProjectRef

Q = TypeVar("Q")
B = TypeVar("B")

MAX_JSON_BYTES = 2**20
PARAMETER = re.compile(r"\{(\w+)\}")
PARAMETERS = frozenset(
    {"project", "run", "commit", "dot", "pack", "token", "model", "version", "account", "session", "comment"}
    | {"volume", "snapshot", "key", "build"}
)
PATTERNS = {"key": ".+", "snapshot": "[0-9a-f]{64}|latest"}
"""What path parameters look like, where they are not anything up to the next slash."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters, or an empty JSON object."""


class Media(Enum):
    """How a request's body travels."""

    NONE = None
    JSON = "application/json"
    BYTES = "application/octet-stream"
    """Kept in memory: the call's `body` is `bytes`."""
    PACK = "pack"
    """Sent as octets and kept in a file: the call's `body` is an `Upload`."""
    ZFS = "zfs"
    """Sent as octets and handed to `zfs receive` as they arrive: the call's `body` is None, and it was received."""
    FILE = "file"
    """Sent as octets of any type, and taken by what the operation declares as `receive`."""
    SOCKET = "socket"
    """No body but a WebSocket: the call's `body` is a `Channel`; when it closes, the function is cancelled."""


class Receiver(Protocol):
    """Takes a body in; used on the event loop, one call at a time."""

    async def add(self, chunk: bytes) -> None:
        """The next piece."""

    async def finish(self) -> Any:
        """The body as the operation gets it, after the last piece."""

    def forget(self) -> None:
        """Let go of what was received, if it is not kept elsewhere; idempotent."""


class Channel(Protocol):
    """A WebSocket as an operation sees it."""

    def messages(self) -> AsyncIterator[str]:
        """What the client sends, without end."""

    async def send(self, text: str) -> None:
        """Send a message; nothing happens when the client has gone."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The parts of the HTTP request that operations need."""

    headers: Mapping[str, str]
    client: str
    session: str | None


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Q, B]):
    """A request that has passed every check.

    Attributes:
        readmit: Checks a caller that is known and its project once more, for an operation that goes on for long; who
            calls now. Raises the `Problem` with which the request would be refused now.
    """

    request: Request
    query: Q
    body: B
    path: Mapping[str, str]
    readmit: Callable[[], Awaitable[Caller]]
    known_caller: Caller | None = None
    found_project: ProjectRef | None = None
    found_dot: DotRow | None = None

    @property
    def caller(self) -> Caller:
        """Who calls; not for anonymous operations."""
        return _declared(self.known_caller, "caller")

    @property
    def asker(self) -> str:
        """Whose requests they are that are answered in turn: an account, or an address where nobody has signed in."""
        caller = self.known_caller
        return self.request.client if caller is None or caller.is_anonymous else caller.account_id

    @property
    def project(self) -> ProjectRef:
        """The project in the path, which the caller sees."""
        return _declared(self.found_project, "project")

    @property
    def dot(self) -> DotRow:
        """The dot in the path, whose project the caller sees."""
        return _declared(self.found_dot, "dot")


T = TypeVar("T")


def _declared(value: T | None, what: str) -> T:
    if value is None:
        raise RuntimeError(f"the operation's declaration gives it no {what}")
    return value


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer other than a plain 200: `body` is encoded as JSON unless it is bytes or a stream of them."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    """The version of what is answered, for If-Match; without one a hash of the answer stands for it."""
    signed_in: AccountInfo | None = None
    """Whom the answer signs in, for the audit log."""
    about: str | None = None
    """The id of the project that the answer is about where the path has none, for the audit log."""
    noted: str = ""
    """What the audit log says besides what the operation's declaration does."""
    cookie: str | None = None
    """A session's secret to keep in the browser; an empty one makes it forget the session."""


Run = Callable[[Services, Call[Any, Any]], Awaitable[Any]]
Receive = Callable[[Services, Call[Any, Any]], Receiver]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    scope: str
    run: Run
    query: type[Any] = Nothing
    body: Any = None
    media: Media = Media.NONE
    max_body: int = 0
    receive: Receive | None = None
    response: Any = None
    answers: tuple[int, ...] = (200,)
    problems: tuple[str, ...] = ()
    response_media: str = "application/json"
    other_media: tuple[str, ...] = ()
    """Types of content that the answer has besides, where the query asks for them."""
    open_on_loopback: bool = False
    """Whether programs on the hub's own machine need no token for it."""
    audited: bool | Callable[[Call[Any, Any]], bool] = True
    noted: Callable[[Call[Any, Any]], str] | None = None
    holds_secret: bool = False
    in_turn: bool = False
    """Whether it may take seconds, so that a caller's requests for such are answered one after the other."""
    changes_nothing: bool = False
    """Whether it only reads, though it is no GET: it ends early where the client has gone away."""

    @property
    def is_read(self) -> bool:
        """Whether it only reads."""
        return self.changes_nothing or self.method == "GET"

    def is_audited(self, call: Call[Any, Any]) -> bool:
        """Whether the audit log has such a call."""
        audited = self.audited(call) if callable(self.audited) else self.audited
        return audited and self.method != "GET"

    def target(self, call: Call[Any, Any]) -> str:
        """What a call is about, for the audit log: what its declaration says, else its path without the project."""
        if self.noted is not None:
            return self.noted(call)
        return " ".join(call.path[name] for name in self.parameters if name != "project")

    @property
    def name(self) -> str:
        """The operation's id in the OpenAPI document."""
        return str(getattr(self.run, "__name__", ""))

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]

    @property
    def parameters(self) -> list[str]:
        """The names in the path, in order."""
        return PARAMETER.findall(self.path)


def operation(method: str, path: str, *, scope: str, **declared: Any) -> Callable[[Run], Operation]:
    """Declare the function below as an operation; it becomes an `Operation`.

    Args:
        method: GET, POST, PUT, PATCH or DELETE; HEAD comes with GET.
        path: The path with its parameters in braces. `{project}` and `{dot}` are looked up, and are a 404 for callers
            who do not see them.
        scope: The scope that a caller needs, or `ANONYMOUS` or `SIGNED_IN`.
        declared: `query` and `body` (Structs), `media`, `max_body` and `receive` for other bodies, `response` (a type),
            `answers` (statuses of success), `problems` (types beyond those that any operation may answer); `audited`
            (false, or a function of the call, for what is too frequent for the audit log), `noted` (what the log says
            that a call is about), `holds_secret` (the answer is shown once, and not kept for an Idempotency-Key),
            `in_turn`, `changes_nothing`, and `open_on_loopback`.
    """
    if declared.get("body") is not None:
        declared.setdefault("media", Media.JSON)
    if declared.get("media") is Media.JSON:
        declared.setdefault("max_body", MAX_JSON_BYTES)

    def declare(run: Run) -> Operation:
        return Operation(method=method, path=path, scope=scope, run=run, **declared)

    return declare


def collect(modules: Iterable[ModuleType]) -> list[Operation]:
    """The operations that modules declare, checked.

    Raises:
        ConfigError: a declaration is not complete; the hub does not start with it.
    """
    found = [one for module in modules for one in vars(module).values() if isinstance(one, Operation)]
    check(found)
    return found


def check(operations: Iterable[Operation]) -> None:
    """Make sure that every operation says who may call it, and is the only one on its path and method.

    Raises:
        ConfigError: one does not.
    """
    seen: set[tuple[str, str]] = set()
    for one in operations:
        where = f"{one.method} {one.path}"
        if one.scope not in SCOPES and one.scope not in ACCESS_LEVELS:
            raise ConfigError(f"{where} declares the scope {one.scope!r}, which does not exist")
        if one.method not in METHODS or not set(one.parameters) <= PARAMETERS:
            raise ConfigError(f"{where} has a method or path parameter that the router does not know")
        if not one.summary:
            raise ConfigError(f"{where} is not documented: its function needs a docstring")
        if unknown := set(one.problems) - set(PROBLEM_TYPES):
            raise ConfigError(f"{where} declares problems that do not exist: {', '.join(sorted(unknown))}")
        if (one.method, one.path) in seen:
            raise ConfigError(f"{where} is declared twice")
        seen.add((one.method, one.path))

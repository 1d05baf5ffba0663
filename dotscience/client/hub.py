"""The hub's HTTP API as Python calls.

A `HubClient` is safe to share between threads as long as no two use it at the same time (it holds one
`requests.Session`). Calls are retried on a lost connection and on 502, 503 and 504, with jittered back-off: the sync
operations are idempotent, and a token or login code made twice does no harm.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from dotscience.client import transport
from dotscience.client.content_calls import ContentCalls
from dotscience.client.event_calls import EventCalls
from dotscience.client.people import PeopleCalls, Session
from dotscience.client.problems import HexHash, hub_error, not_a_hub
from dotscience.client.run_calls import RunCalls
from dotscience.errors import HubUnavailable

if TYPE_CHECKING:
    import requests

    from dotscience.points import Point, ReportedState

MAX_HASHES_PER_QUESTION = 16_384
MAX_OBJECTS_PER_QUESTION = 1_024
HASH_SIZE = 32

T = TypeVar("T")


class Timeouts(Struct, frozen=True):
    """Seconds: to connect, and between two pieces of an answer."""

    connect_s: float = 5.0
    read_s: float = 30.0


DEFAULT_TIMEOUTS = Timeouts()


class Project(Struct, frozen=True, kw_only=True):
    """A project as the hub lists it."""

    id: str
    name: str
    dot_id: str | None = None
    runs: int = 0
    head: str | None = None
    is_public: bool = False
    role: str | None = None


class Token(Struct, frozen=True, kw_only=True):
    """A newly made API token; the hub shows `token` this once only."""

    id: str
    token: str
    scopes: list[str]
    project_id: str | None = None
    expires_at: str | None = None


class LoginCode(Struct, frozen=True, kw_only=True):
    """A code that signs one browser in, once, until `expires_at`; `url` is the login page with the code."""

    code: str
    url: str
    expires_at: str


class DotState(Struct, frozen=True, kw_only=True):
    """What the hub knows of a dot: its project, the epoch of its garbage collection, and the head of each branch."""

    dot_id: str
    project_id: str
    gc_epoch: str | int
    branches: dict[str, str]


class Have(Struct, frozen=True):
    """Which of the hashes asked for the hub has, in the order asked; good for this epoch of its garbage collection."""

    present: list[bool]
    gc_epoch: str


class _Damaged(Struct, frozen=True):
    objects: list[HexHash]


class Records(Struct, frozen=True):
    """Objects as the records of packs, one after the other, in the order of the hashes asked for.

    The first `answered` of these are there, or the hub does not have them; ask for the rest again.
    """

    data: bytes
    answered: int


class RefusedRun(Struct, frozen=True, kw_only=True):
    """A run that the hub does not take, ever, and why."""

    run_id: str
    reason: str


class CommitAccepted(Struct, frozen=True, kw_only=True):
    """A commit that is now on the hub, with the number of its runs there; `refused` are those that are not."""

    commit: str
    branch: str
    runs: int = 0
    refused: list[RefusedRun] = []


class _Version(Struct, frozen=True):
    version: str


class _Page(Struct, Generic[T], frozen=True):
    items: list[T]
    next: str | None = None


class ZfsState(Struct, frozen=True, kw_only=True):
    """What the hub has of a dot as ZFS datasets: the guids of its snapshots, and where a broken stream goes on."""

    latest_guid: str | None
    guids: list[str]
    resume_token: str | None


class PointsReceived(Struct, frozen=True, kw_only=True):
    """How far into a run's file the hub has its points, and whether the run has been pushed."""

    received: int
    published: bool


class HubClient(RunCalls, ContentCalls, EventCalls, PeopleCalls):
    """Calls one hub with one bearer token.

    Raises, from every call: `HubUnavailable` when no answer came, otherwise the `HubError` that fits the status.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeouts: Timeouts = DEFAULT_TIMEOUTS, retries: int = 2
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._timeouts = timeouts
        self._retries = retries
        self._session: requests.Session | None = None

    def __enter__(self) -> HubClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections; idempotent. A later call opens new ones."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def version(self) -> str:
        """The hub's version; needs no token, so it tells whether a hub is there at all."""
        return self._call("GET", "/api/v1/version", _Version).version

    def projects(self) -> Iterator[Project]:
        """All projects that the token may see."""
        yield from self._pages("/api/v1/projects", Project)

    def project(self, project_id: str) -> Project:
        """One project, by its id."""
        return self._call("GET", _project_path(project_id), Project)

    def create_project(self, name: str, *, dot_id: str | None = None) -> Project:
        """Make a project for a dot, or return the one that the dot already has; the name is numbered when taken."""
        body = {"name": name} if dot_id is None else {"name": name, "dot_id": dot_id}
        return self._call("POST", "/api/v1/projects", Project, body=body)

    def change_project(self, project_id: str, *, name: str | None = None, is_public: bool | None = None) -> Project:
        """Rename a project, or open it to the public or close it; what is None stays as it is.

        Raises:
            Invalid: the name is not acceptable, or taken.
            Forbidden: the caller does not own it.
        """
        wanted = {"name": name, "is_public": is_public}
        body = {key: value for key, value in wanted.items() if value is not None}
        return self._call("PATCH", _project_path(project_id), Project, body=body)

    def trash_project(self, project_id: str) -> None:
        """Move a project to the trash, where nothing of it is lost."""
        self._send("DELETE", _project_path(project_id))

    def trashed_projects(self) -> Iterator[Project]:
        """The caller's projects in the trash."""
        yield from self._pages("/api/v1/projects", Project, {"trash": "true"})

    def restore_project(self, project_id: str) -> Project:
        """Bring a project back from the trash.

        Raises:
            NotFound: it is not there, or somebody else's.
        """
        return self._call("POST", "/api/v1/trash/restore", Project, body={"project_id": project_id})

    def sign_in(self, name: str, password: str, token_name: str) -> Token:
        """Make a token that can do all that an account can, for whoever knows its password.

        Raises:
            Unauthenticated: the name or the password is wrong.
            RateLimited: there were too many attempts.
        """
        answer = self._send("POST", "/api/v1/sessions", data=msgspec.json.encode({"name": name, "password": password}))
        cookie = {"Cookie": "; ".join(f"{one.name}={one.value}" for one in answer.cookies)}
        session = self._call("GET", "/api/v1/session", Session, headers=cookie)
        body = {"name": token_name, "scopes": session.scopes}
        made = self._call("POST", "/api/v1/tokens", Token, body=body, headers=cookie)
        self._send("DELETE", "/api/v1/session", headers=cookie)
        return made

    def create_token(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        project_id: str | None = None,
        expires_in_s: int | None = None,
    ) -> Token:
        """Make an API token with the scopes named, for one project or for all that the caller may see."""
        body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
        if project_id is not None:
            body["project_id"] = project_id
        if expires_in_s is not None:
            body["expires_in_s"] = expires_in_s
        return self._call("POST", "/api/v1/tokens", Token, body=body)

    def create_login_code(self) -> LoginCode:
        """Make a one-time login link."""
        return self._call("POST", "/api/v1/login-codes", LoginCode, body={})

    def runs(
        self,
        project_id: str,
        *,
        filter_string: str = "",
        sort: str = "started_at",
        order: Literal["asc", "desc"] = "desc",
    ) -> Iterator[dict[str, Any]]:
        """The project's runs, newest first unless sorted otherwise; pages are fetched as they are needed.

        Args:
            project_id: The project.
            filter_string: A filter that they meet (docs/filters.md); all without one.
            sort: `started_at`, `param.NAME`, `summary.NAME` or `label.NAME`; runs without the value come last.
            order: Smallest or oldest first ("asc"), or largest or newest.

        Raises:
            Invalid: there is no such sort, the filter cannot be understood (`problem["position"]` says where), or it
                would take too long.
        """
        asked = {"sort": sort, "order": order} | ({"filter": filter_string} if filter_string else {})
        yield from self._pages(f"{_project_path(project_id)}/runs", dict[str, Any], asked)

    def run(self, project_id: str, run_id: str) -> dict[str, Any]:
        """One run, with the environment that it ran in.

        Raises:
            NotFound: the project has no such run.
        """
        return self._call("GET", f"{_project_path(project_id)}/runs/{quote(run_id, safe='')}", dict[str, Any])

    def trace(
        self,
        project_id: str,
        run_id: str,
        *,
        direction: Literal["upstream", "downstream"] = "upstream",
        depth: int = 10,
    ) -> dict[str, Any]:
        """The runs that a run comes from, or that come from it: `runs`, `edges`, `unclaimed`, `more`.

        Raises:
            NotFound: the project has no such run.
            Invalid: it would take too long.
        """
        path = f"{_project_path(project_id)}/runs/{quote(run_id, safe='')}/trace"
        return self._call("GET", path, dict[str, Any], params={"direction": direction, "depth": str(depth)})

    def trace_file(
        self,
        project_id: str,
        commit: str,
        path: str,
        *,
        direction: Literal["upstream", "downstream"] = "upstream",
        depth: int = 10,
    ) -> dict[str, Any]:
        """As `trace`, of the content that a file has in a commit: who made it, or who read it.

        Raises:
            NotFound: the commit has no such file.
        """
        where = f"{_project_path(project_id)}/commits/{quote(commit, safe='')}/trace"
        params = {"direction": direction, "depth": str(depth), "path": path}
        return self._call("GET", where, dict[str, Any], params=params)

    def dot(self, dot_id: str) -> DotState:
        """The hub's heads of a dot."""
        return self._call("GET", _dot_path(dot_id), DotState)

    def have(self, dot_id: str, hashes: Sequence[bytes]) -> Have:
        """Ask which of at most `MAX_HASHES_PER_QUESTION` objects the dot's project has."""
        answer = self._send("POST", f"{_dot_path(dot_id)}/have", data=b"".join(hashes))
        bitmap = answer.content
        if len(bitmap) < (len(hashes) + 7) // 8:
            raise HubUnavailable(f"{self.url} answered {len(bitmap)} bytes to a question about {len(hashes)} objects")
        present = [bool(bitmap[i // 8] >> (i % 8) & 1) for i in range(len(hashes))]
        return Have(present, answer.headers.get("X-Dotscience-Gc-Epoch", ""))

    def damaged(self, dot_id: str) -> list[bytes]:
        """The first 1,000 objects of the dot's project that the hub found damaged, and that nobody has sent again."""
        found = self._call("GET", f"{_dot_path(dot_id)}/damaged", _Damaged)
        return [bytes.fromhex(name) for name in found.objects]

    def objects(self, dot_id: str, hashes: Sequence[bytes]) -> Records:
        """Ask for at most `MAX_OBJECTS_PER_QUESTION` objects; the answer holds as many as the hub gives at once."""
        answer = self._send("POST", f"{_dot_path(dot_id)}/objects", data=b"".join(hashes))
        answered = answer.headers.get("X-Dotscience-Answered", "")
        if not answered.isdigit():
            raise HubUnavailable(f"{self.url} does not say how many of {len(hashes)} objects it answers for")
        return Records(answer.content, int(answered))

    def put_pack(self, dot_id: str, pack_hash: str, pack: IO[bytes]) -> None:
        """Upload a pack, streaming it from a seekable file; idempotent by its hash."""
        self._send("PUT", f"{_dot_path(dot_id)}/packs/{pack_hash}", data=pack)

    def post_commit(
        self, dot_id: str, commit: str, *, branch: str, expected_parent: str | None, lost: Sequence[bytes] = ()
    ) -> CommitAccepted:
        """Move a branch to a commit whose objects are on the hub, but for contents of files that are `lost`.

        Raises:
            Conflict: the branch's head is not `expected_parent`; `problem["head"]` is what it is.
            Invalid: objects are missing; `problem["missing"]` names the first of them.
        """
        body: dict[str, Any] = {"commit": commit, "branch": branch, "expected_parent": expected_parent}
        if lost:
            body["lost"] = [name.hex() for name in lost]
        return self._call("POST", f"{_dot_path(dot_id)}/commits", CommitAccepted, body=body)

    def report_points(
        self,
        dot_id: str,
        run_id: str,
        *,
        state: ReportedState,
        start: int,
        end: int,
        points: Sequence[Point],
        record: bytes | None = None,
    ) -> PointsReceived:
        """Report a run that is not pushed yet, with the points between two positions of its file; idempotent.

        Raises:
            Conflict: the hub is not at `start`, or does not know the run and `record` is missing.
        """
        body: dict[str, Any] = {"state": state, "start": start, "end": end, "points": points}
        if record is not None:
            body["record"] = msgspec.Raw(record)
        path = f"{_dot_path(dot_id)}/runs/{quote(run_id, safe='')}/points"
        return self._call("POST", path, PointsReceived, body=body)

    def live_runs(self, project_id: str) -> Iterator[dict[str, Any]]:
        """The project's runs that are not published: `running`, about to arrive (`ended`), or `lost`; newest first."""
        yield from self._pages(f"{_project_path(project_id)}/live-runs", dict[str, Any])

    def live_run(self, project_id: str, run_id: str) -> dict[str, Any]:
        """One run that sent points while it was going on.

        Raises:
            NotFound: the project has no such run.
        """
        path = f"{_project_path(project_id)}/live-runs/{quote(run_id, safe='')}"
        return self._call("GET", path, dict[str, Any])

    def metrics(
        self, project_id: str, run_id: str, *, names: Sequence[str] | None = None, points: int = 1_000
    ) -> dict[str, Any]:
        """The metrics of a run that have points, and the curves of those named (else of the first 20).

        A curve of more than `points` points is sampled: it keeps the extremes of each part, and both ends.

        Raises:
            NotFound: the project has no such run.
        """
        params = {"points": str(points)} | ({} if names is None else {"names": msgspec.json.encode(names).decode()})
        path = f"{_project_path(project_id)}/runs/{quote(run_id, safe='')}/metrics"
        return self._call("GET", path, dict[str, Any], params=params)

    def upkeep(self) -> dict[str, Any]:
        """How the hub looks after its storage: the state of `gc` and of `scrub`, as the API documents it."""
        return self._call("GET", "/api/v1/upkeep", dict[str, Any])

    def collect_garbage(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Start to delete what no commit needs; the state of it, as in `upkeep()["gc"]`."""
        return self._call("POST", "/api/v1/upkeep/gc", dict[str, Any], body={"dry_run": dry_run})

    def scrub(self) -> dict[str, Any]:
        """Start to check everything that the hub stores; the state of it, as in `upkeep()["scrub"]`."""
        return self._call("POST", "/api/v1/upkeep/scrub", dict[str, Any], body={})

    def zfs_state(self, dot_id: str) -> ZfsState:
        """What the hub has of a dot as ZFS datasets.

        Raises:
            NotFound: it takes no streams, or not from this token.
        """
        return self._call("GET", f"{_dot_path(dot_id)}/zfs", ZfsState)

    def send_zfs(
        self, dot_id: str, stream: Iterator[bytes], *, to_guid: int, from_guid: int | None, resume: bool
    ) -> ZfsState:
        """Send a ZFS stream, which is read once: make the client with no retries, and with patience.

        Args:
            dot_id: The dot.
            stream: What `zfs send` writes.
            to_guid: The snapshot that it ends at.
            from_guid: The one that it begins at; None for a full stream.
            resume: Whether it is the rest of the one that the hub's token stands for.

        Raises:
            Conflict: another stream is being received.
            Invalid: it could not be received.
        """
        params = {"to_guid": str(to_guid), "resume": str(resume).lower()}
        if from_guid is not None:
            params["from_guid"] = str(from_guid)
        answer = self._send("POST", f"{_dot_path(dot_id)}/zfs/receive", data=stream, params=params)
        return msgspec.json.decode(answer.content, type=ZfsState)

    def _pages(self, path: str, kind: type[T], asked: dict[str, str] | None = None) -> Iterator[T]:
        params = dict(asked or {})
        while True:
            page: _Page[T] = self._call("GET", path, _Page[kind], params=params)  # type: ignore[valid-type]
            yield from page.items
            if page.next is None:
                return
            params["cursor"] = page.next

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
        data = None if body is None else msgspec.json.encode(body)
        answer = self._send(method, path, data=data, params=params, headers=headers)
        try:
            return msgspec.json.decode(answer.content, type=kind, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise not_a_hub(self.url) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | IO[bytes] | Iterator[bytes] | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(_backoff_s(attempt))
            try:
                return self._send_once(method, path, data, params, headers or {}, stream=stream)
            except HubUnavailable:
                if attempt == self._retries:
                    raise
        raise AssertionError("the loop above returns or raises")

    def _send_once(
        self,
        method: str,
        path: str,
        data: bytes | IO[bytes] | Iterator[bytes] | None,
        params: dict[str, str] | None,
        headers: dict[str, str],
        *,
        stream: bool,
    ) -> requests.Response:
        import requests

        if data is not None and hasattr(data, "seek"):  # a file; a stream is read once
            data.seek(0)
        session = self._open_session()
        content_type = "application/json" if _is_json(path, data) else "application/octet-stream"
        typed = {"Content-Type": content_type} if data is not None else {}
        try:
            answer = session.request(
                method,
                self.url + path,
                data=data,
                params=params,
                headers=typed | headers,
                stream=stream,
                timeout=(self._timeouts.connect_s, self._timeouts.read_s),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise HubUnavailable(transport.failure(error, self.url)) from error
        if answer.status_code >= 300:
            with answer:
                raise hub_error(answer.status_code, answer.content, answer.headers.get("Retry-After"), self.url)
        return answer

    def _open_session(self) -> requests.Session:
        if self._session is None:
            self._session = transport.open_session(self.url)
            if self._token is not None:
                self._session.headers["Authorization"] = f"Bearer {self._token}"
        return self._session


def _is_json(path: str, data: object) -> bool:
    """Whether the body of a call is JSON: all are, but packs, streams and lists of hashes."""
    return isinstance(data, bytes) and not path.endswith(("/have", "/objects"))


def chunked(hashes: Sequence[bytes], size: int = MAX_HASHES_PER_QUESTION) -> Iterable[Sequence[bytes]]:
    """Cut a list of hashes into questions that `HubClient.have` accepts."""
    return (hashes[start : start + size] for start in range(0, len(hashes), size))


def _project_path(project_id: str) -> str:
    return f"/api/v1/projects/{quote(project_id, safe='')}"


def _dot_path(dot_id: str) -> str:
    return f"/api/v1/dots/{quote(dot_id, safe='')}"


def _backoff_s(attempt: int) -> float:
    """Full jitter: any wait up to a bound that doubles with each attempt, so that clients do not come back in step."""
    return random.uniform(0, min(8.0, 0.25 * 2.0**attempt))

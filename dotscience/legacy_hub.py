"""The calls of the original hub's HTTP API (`/v2`) that code outside of a hub needs to publish runs there.

HTTP Basic with a user name and an API token. The credentials go to the given address only: no redirect is followed,
and no `.netrc` is read; proxies and certificates are those of `dotscience.client.transport`.
"""

from __future__ import annotations

import os
from base64 import b64encode
from itertools import count
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, quote_from_bytes

import msgspec
from msgspec import Struct

from dotscience.client import transport
from dotscience.client.address import EXPECTED, is_hub_address
from dotscience.client.hub import Timeouts
from dotscience.client.problems import hub_error, not_a_hub
from dotscience.errors import ConfigError, HubError, HubUnavailable

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

TIMEOUTS = Timeouts(connect_s=10.0, read_s=300.0)
"""The hub unpacks an upload, and snapshots the workspace, before it answers."""

_HINTS = {
    401: "check the user name and the API token that ds.connect() was given",
    403: "check that the API token may write to the project",
    404: "check the address that ds.connect() was given",
    423: "stop Jupyter in this project on the hub, or wait for the task that holds the lock, and publish again",
}
_REDIRECT_HINT = (
    "it redirects to another address, where credentials are not sent; give ds.connect() the address of the hub itself"
)


class LegacyProject(Struct, frozen=True):
    """A project as the hub lists it."""

    id: str
    name: str

    @property
    def dot(self) -> str:
        """The name of the project's workspace."""
        return f"project-{self.id[:8]}-default-workspace"


class LegacyHub:
    """One hub, one user. Not safe for threads: each opens its own; use it as a context manager.

    Raises, from every call: `HubUnavailable` when no answer came or one that is not a hub's, otherwise the `HubError`
    that fits the status. The messages name what was being done.
    """

    def __init__(self, url: str, username: str, apikey: str, *, timeouts: Timeouts = TIMEOUTS) -> None:
        self.url = url
        self.username = username
        self._timeouts = timeouts
        self._ids = count(1)
        self._session = transport.open_session(url)
        self._session.headers["Authorization"] = _basic(username, apikey)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def ping(self) -> None:
        """Ask for nothing, to see whether the hub is there and accepts the credentials."""
        self._call("the connection", "Ping")

    def projects(self) -> list[LegacyProject]:
        """All projects that the user sees."""
        return self._decoded(self._send("GET", "/v2/projects", "the list of projects"), list[LegacyProject])

    def create_project(self, name: str) -> LegacyProject:
        """Make a project. The hub decides about its id."""
        body = msgspec.json.encode({"name": name})
        return self._decoded(self._send("POST", "/v2/projects", f"the new project {name!r}", body), LegacyProject)

    def put(self, dot: str, path: str, content: IO[bytes], *, extract: bool = False) -> None:
        """Upload a file to a workspace, streaming it; with `extract`, a tar archive that becomes the folder `path`.

        The original hub removes what the folder held before, this one replaces what the archive names.
        """
        workspace = f"/v2/dotmesh/s3/{quote(self.username, safe='')}:{quote(dot, safe='')}/"
        self._send(
            "PUT",
            workspace + quote_from_bytes(os.fsencode(path)),
            f"the upload of {path}",
            content if os.fstat(content.fileno()).st_size else b"",  # requests would send an empty file in chunks
            {"Extract": "true"} if extract else {},
        )

    def commit(self, dot: str, message: str, metadata: dict[str, str]) -> None:
        """Snapshot a workspace as it is on the hub; the master branch has the empty name there."""
        branch = {"Namespace": self.username, "Name": dot, "Branch": ""}
        self._call(f"the lookup of the workspace {dot}", "Lookup", branch)
        self._call("the commit of the run", "Commit", branch | {"Message": message, "Metadata": metadata})

    def _call(self, doing: str, method: str, params: dict[str, Any] | None = None) -> None:
        """One JSON-RPC 2.0 call."""
        request: dict[str, Any] = {"jsonrpc": "2.0", "method": f"DotmeshRPC.{method}", "id": next(self._ids)}
        if params is not None:
            request["params"] = params
        answer = self._send("POST", "/v2/dotmesh/rpc", doing, msgspec.json.encode(request))
        reply = self._decoded(answer, dict[str, Any])
        if reply.get("error") is not None:
            raise HubError(f"the hub at {self.url} refused {doing}: {_rpc_message(reply['error'])}")
        if "result" not in reply:
            raise not_a_hub(self.url)

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        body: bytes | IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        import requests

        if method == "POST":
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            answer = self._session.request(
                method,
                self.url + path,
                data=body,
                headers=headers,
                timeout=(self._timeouts.connect_s, self._timeouts.read_s),
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise HubUnavailable(f"{doing} failed: {transport.failure(error, self.url)}") from error
        except requests.RequestException as error:
            raise HubUnavailable(
                f"{doing} failed: no answer from the hub at {self.url} ({type(error).__name__}); "
                "check its address and that it is running, and try again"
            ) from error
        if not 200 <= answer.status_code < 300:
            raise self._refusal(answer, doing)
        return answer

    def _refusal(self, answer: requests.Response, doing: str) -> HubError:
        status = answer.status_code
        error = hub_error(status, answer.content, answer.headers.get("Retry-After"), self.url)
        error.args = (f"the hub refused {doing} with status {status}: {error}; {_hint(status)}",)
        return error

    def _decoded(self, answer: requests.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as error:
            raise not_a_hub(self.url) from error


def checked_url(hostname: str) -> str:
    """The hub's address as every request begins with it.

    Raises:
        ConfigError: it is missing or no HTTP address. The message does not repeat what may hold a password.
    """
    if not hostname:
        raise ConfigError(
            "ds.connect() does not know which hub is meant: pass hostname='https://your.hub' or set DOTSCIENCE_URL"
        )
    if not is_hub_address(hostname):
        raise ConfigError(f"the hostname for ds.connect() must be {EXPECTED}")
    return hostname.rstrip("/")


def _basic(username: str, apikey: str) -> str:
    """RFC 7617, in UTF-8."""
    return "Basic " + b64encode(f"{username}:{apikey}".encode()).decode("ascii")


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return _REDIRECT_HINT
    return _HINTS.get(status, "try again later" if status >= 500 else "nothing was recorded")


def _rpc_message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:500]

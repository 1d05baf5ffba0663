"""The extension's HTTP API: `<base_url>/dotscience/api/…`. See docs/design/interfaces.md, section 3."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Annotated, Any, TypeVar

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async
from msgspec import Meta, Struct
from tornado import web

import jupyter_extension
from dotscience.errors import CommitterUnavailable, DotscienceError
from dotscience.workspace import read_project
from jupyter_extension.errors import BadRequest, NotBound, error_document
from jupyter_extension.follower import Follower
from jupyter_extension.hub_link import login_url, page_path, page_url
from jupyter_extension.preview import preview
from jupyter_extension.processes import init_workspace
from jupyter_extension.workspaces import Workspaces

API = r"/dotscience/api"
MOST_RUNS = 200
LARGEST_BODY = 1 << 16

Body = TypeVar("Body", bound=Struct)


class CommitRequest(Struct, forbid_unknown_fields=True):
    """The body of `POST commits`."""

    description: Annotated[str, Meta(max_length=10_000)] = ""


class TrackingRequest(Struct, forbid_unknown_fields=True):
    """The body of `POST tracking`; `path` is a contents path."""

    path: Annotated[str, Meta(max_length=4096)]


class HubLinkRequest(Struct, forbid_unknown_fields=True):
    """The body of `POST hub-link`: a run, or None for the project."""

    run_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class DotscienceHandler(APIHandler):
    """Gives handlers the workspaces, and turns every error into `{code, message, hint}`."""

    auth_resource = "dotscience"

    @property
    def workspaces(self) -> Workspaces:
        """The workspaces of this server."""
        workspaces: Workspaces = self.settings["dotscience_workspaces"]
        return workspaces

    async def workspace(self) -> Follower:
        """The workspace of the folder in the query's `path`, by default of the server's root folder."""
        return await self.workspaces.open(self.get_query_argument("path", ""))

    def body(self, kind: type[Body]) -> Body:
        """The request's body.

        Raises:
            BadRequest: it is too large, or not what it should be.
        """
        if len(self.request.body) > LARGEST_BODY:
            raise BadRequest(f"The body has {len(self.request.body)} bytes, more than {LARGEST_BODY}")
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"The body is not as it should be: {error}") from error

    def number(self, name: str, *, default: int | None, most: int = 2**63 - 1) -> int | None:
        """A whole number from the query between 1 and `most`.

        Raises:
            BadRequest: it is something else.
        """
        text = self.get_query_argument(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:19]) <= most:
            raise BadRequest(f"{name}={text[:40]!r} is not a whole number between 1 and {most}")
        return int(text[:19])

    def answer(self, document: Any, status: int = 200) -> None:
        """Finish with `document` as JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(document))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Expected errors are an answer, not a traceback in the server's log."""
        if not isinstance(value, DotscienceError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error's own status and document."""
        error = kwargs.get("exc_info", (None, web.HTTPError(status_code), None))[1]
        status, document = error_document(error)
        self.answer(document, status)


class StatusHandler(DotscienceHandler):
    """`GET status?path=DIR`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Whether a folder is tracked, and what its committer does."""
        self.answer(await describe(await self.workspaces.find(self.get_query_argument("path", ""))))


async def describe(workspace: Follower | None) -> dict[str, Any]:
    """The answer to `GET status`; `committer` and `error` are both null while a committer starts."""
    answer: dict[str, Any] = {
        "tracked": workspace is not None,
        "root": str(workspace.root) if workspace else None,
        "version": jupyter_extension.__version__,
        "committer": None,
        "error": None,
    }
    if workspace is not None:
        try:
            answer["committer"] = await workspace.committer.status()
        except CommitterUnavailable:
            answer["error"] = workspace.error
    return answer


class RunsHandler(DotscienceHandler):
    """`GET runs?path=&notebook=&limit=&before=`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """A page of runs, newest first."""
        workspace = await self.workspace()
        notebook = self.get_query_argument("notebook", "")
        page = await workspace.committer.runs(
            notebook=self.workspaces.relative_path(workspace.root, notebook) if notebook else None,
            limit=self.number("limit", default=50, most=MOST_RUNS) or 50,
            before=self.number("before", default=None),
        )
        for entry in page.get("runs", []):
            entry["notebook"] = self.workspaces.contents_path(workspace.root, entry.get("notebook"))
        self.answer(page)


class RunHandler(DotscienceHandler):
    """`GET runs/{run_id}?path=`."""

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """One run with its environment."""
        workspace = await self.workspace()
        entry = await workspace.committer.run(run_id)
        entry["notebook"] = self.workspaces.contents_path(workspace.root, entry.get("notebook"))
        self.answer(entry)


class CommitsHandler(DotscienceHandler):
    """`POST commits?path=`."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Save and push: answers when the commit is durable."""
        description = self.body(CommitRequest).description
        workspace = await self.workspace()
        self.answer(await workspace.committer.commit(description), 201)


class PushHandler(DotscienceHandler):
    """`POST push?path=`."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Try again at once: to reach the hub, or the committer where that is what is missing."""
        workspace = await self.workspace()
        workspace.retry()
        await workspace.committer.push()
        self.answer({}, 202)


class HubLinkHandler(DotscienceHandler):
    """`POST hub-link?path=`."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """The address of a page of the hub; it signs the browser in where the user may administer that hub anyway."""
        run_id = self.body(HubLinkRequest).run_id
        workspace = await self.workspace()
        binding = (await asyncio.to_thread(read_project, workspace.root)).hub
        if binding is None:
            raise NotBound(f"{workspace.root} is bound to no hub")
        page = page_path(binding, run_id)
        login = await asyncio.to_thread(login_url, binding, page) if await self._may_read_files() else None
        self.answer({"url": login or page_url(binding, page)})

    async def _may_read_files(self) -> bool:
        """Whether the user may execute code here, and so read the hub's token as this server can."""
        asked = self.authorizer.is_authorized(self, self.current_user, "execute", "kernels")
        return bool(await ensure_async(asked))


class TrackingHandler(DotscienceHandler):
    """`GET tracking?path=DIR` and `POST tracking`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """What tracking a folder would mean."""
        folder = self.workspaces.folder(self.get_query_argument("path", ""))
        self.answer(await asyncio.to_thread(preview, folder))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Track a folder; a folder that is tracked already stays as it is."""
        path = self.body(TrackingRequest).path
        workspace = await self.workspaces.find(path)
        if workspace is None:
            await init_workspace(self.workspaces.folder(path))
            workspace = await self.workspaces.open(path)
            self.settings["dotscience_on_tracked"]()
        self.answer(await describe(workspace), 201)


HANDLERS = [
    (rf"{API}/status", StatusHandler),
    (rf"{API}/runs", RunsHandler),
    (rf"{API}/runs/([^/]{{1,200}})", RunHandler),
    (rf"{API}/commits", CommitsHandler),
    (rf"{API}/push", PushHandler),
    (rf"{API}/hub-link", HubLinkHandler),
    (rf"{API}/tracking", TrackingHandler),
]

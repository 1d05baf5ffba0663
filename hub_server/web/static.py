"""The dashboard: files that the front end's build left, served from memory.

A path that is no file is the application's business, and gets its page. Files whose name holds a hash of their content
never change, and are cached for good.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from pathlib import Path

from msgspec import Struct

from hub_server.domain.problems import PROBLEM_TYPES, not_found
from hub_server.services.services import Services
from hub_server.web import security
from hub_server.web.base import HubHandler

INDEX = "index.html"
RELATIVE = b'="./'
"""How the page's attributes begin that refer to the build's files, or to its root."""
COMPRESSIBLE = re.compile(r"text/|application/(javascript|json|manifest\+json)|image/svg\+xml")
HASHED = re.compile(r"[.-][A-Za-z0-9_-]{8,}\.\w+$")
MISSING = (
    "This hub was installed without its dashboard.\n\n"
    "In a checkout, build it with `npm ci && npm run build`, then start the hub again.\n"
    "The API under /api/v1 works without it.\n"
)


class Asset(Struct, frozen=True, kw_only=True):
    """A file of the dashboard; `compressed` is None where gzip does not pay."""

    media: str
    data: bytes
    compressed: bytes | None
    etag: str
    immutable: bool


Dashboard = dict[str, Asset]
"""By path; empty when the dashboard was not built."""


def load_dashboard(folder: Path, prefix: str = "") -> Dashboard:
    """Read and compress the files of a build, to be served below the path `prefix`; blocks."""
    if not (folder / INDEX).is_file():
        return {}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".map")
    return {path.relative_to(folder).as_posix(): _load(path, prefix) for path in files}


def _load(path: Path, prefix: str) -> Asset:
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    data = path.read_bytes()
    if path.name == INDEX:  # it is served at every path, so that what it refers to cannot be relative to that
        data = data.replace(RELATIVE, f'="{prefix}/'.encode())
    packed = gzip.compress(data, 6, mtime=0) if COMPRESSIBLE.match(media) else None
    return Asset(
        media=media,
        data=data,
        compressed=packed if packed is not None and len(packed) < len(data) else None,
        etag=f'W/"{hashlib.sha256(data).hexdigest()[:32]}"',
        immutable=HASHED.search(path.name) is not None,
    )


class DashboardHandler(HubHandler):
    """Serves the dashboard's files, and its page for every other path that a person may open."""

    def initialize(self, hub: Services, dashboard: Dashboard) -> None:
        """Tornado's hook."""
        self.hub = hub
        self._dashboard = dashboard

    @property
    def operation_name(self) -> str:
        """All pages and files are one."""
        return "dashboard"

    def prepare(self) -> None:
        """Tornado's hook."""
        self.prepare_request()

    def get(self, path: str) -> None:
        """Tornado's hook."""
        self.set_header("Content-Security-Policy", security.APP_POLICY)
        asset = self._dashboard.get(path)
        if asset is None and path.startswith("assets/"):
            self.send_problem(not_found("file", path[:200]))
            return
        asset = asset or self._dashboard.get(INDEX)
        if asset is None:
            self._finish_text(503, MISSING)
        else:
            self._finish_asset(asset)

    head = get

    def _finish_asset(self, asset: Asset) -> None:
        self.set_header("Content-Type", asset.media)
        if asset.media == "text/html":
            self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable" if asset.immutable else "no-cache")
        self.set_header("ETag", asset.etag)
        self.set_header("Vary", "Accept-Encoding")
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        elif asset.compressed is not None and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(asset.compressed)
        else:
            self.finish(asset.data)

    def _finish_text(self, status: int, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)


class ProblemPageHandler(DashboardHandler):
    """Says what a problem type means, at the address that the problem documents name."""

    def get(self, path: str) -> None:
        """Tornado's hook; `path` is the problem type."""
        found = PROBLEM_TYPES.get(path)
        if found is None:
            self.send_problem(not_found("problem type", path[:80]))
        else:
            self._finish_text(200, f"{found.title} (status {found.status})\n\n{found.meaning}\n")

    head = get

"""The original hub's `/v2`, as far as its client needs it: it records what it is sent, and refuses if told to."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import threading
from contextlib import contextmanager
from urllib.parse import unquote

from support.http_server import Answer, Asked, serve

USER, SECRET = "alice", "ds_7_s3cr3t-token"
PROJECT_ID = "0123456789abcdef"
WORKSPACE = "project-01234567-default-workspace"


class FakeHub:
    """The projects, files and commits of one user's hub; `refuse` makes it answer something else to some requests."""

    def __init__(self, user):
        self.user = user
        self.requests, self.projects, self.files, self.commits = [], [], {}, []
        self.lock = threading.Lock()
        self.refusals, self.unread_refusals = [], []

    def refuse(self, pattern, status, body=b"", headers=(), *, unread=False):
        refusals = self.unread_refusals if unread else self.refusals
        refusals.append((re.compile(pattern), Answer(status, body, dict(headers))))

    def named(self, pattern):
        return [request for request in self.requests if re.search(pattern, request.line)]

    def rpc(self, method):
        return [r.json for r in self.named("POST /v2/dotmesh/rpc") if r.json["method"] == f"DotmeshRPC.{method}"]

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            return _first(self.refusals, request.line) or Answer(*self.serve(request))

    def refuse_unread(self, method, path):
        refusal = _first(self.unread_refusals, f"{method} {path}")
        if refusal:
            self.requests.append(Asked(method, path, {}, b""))
        return refusal

    def serve(self, request):
        expected = "Basic " + base64.b64encode(f"{self.user}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return 401, {"title": "Unauthenticated", "detail": "the API token is not valid"}
        if request.method == "PUT":
            return self.store(unquote(request.path), request)
        if request.path == "/v2/projects":
            return self.list_or_create(request)
        call = request.json
        if call["method"] == "DotmeshRPC.Commit":
            self.commits.append(call["params"]["Metadata"])
        return 200, {"jsonrpc": "2.0", "id": call["id"], "result": True}

    def list_or_create(self, request):
        if request.method == "GET":
            return 200, self.projects
        self.projects.append({"id": PROJECT_ID, "name": request.json["name"]})
        return 201, self.projects[-1]

    def store(self, path, request):
        """A folder that is replaced by an archive loses what it had, as on the original hub."""
        name = path.removeprefix(f"/v2/dotmesh/s3/{self.user}:{WORKSPACE}/")
        if request.headers.get("Extract") != "true":
            self.files[name] = request.body
            return 200, {}
        self.files = {old: content for old, content in self.files.items() if not old.startswith(name + "/")}
        with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
            for entry in tar:
                assert entry.isfile()
                assert not entry.name.startswith(("/", ".."))
                self.files[f"{name}/{entry.name}"] = tar.extractfile(entry).read()
        return 200, {}


@contextmanager
def legacy_hub(user=USER):
    """The hub of one user, which answers at `url`."""
    hub = FakeHub(user)
    with serve(hub.answer, refuse_unread=hub.refuse_unread) as hub.url:
        yield hub


def _first(refusals, line):
    return next((answer for pattern, answer in refusals if pattern.search(line)), None)

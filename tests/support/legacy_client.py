"""Requests to a hub's `/v2`, as its clients send them."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager

import requests

OWNER = "owner"


class LegacyClient:
    """One user of a hub's `/v2`, with one token."""

    def __init__(self, hub, token=None, user=OWNER):
        self.hub = hub
        self.auth = (user, token or hub.admin)

    def request(self, method, path, **options):
        return requests.request(method, self.hub.url + path, auth=self.auth, timeout=60, **options)

    def new_workspace(self, name="mnist"):
        made = self.request("POST", "/v2/projects", json={"name": name})
        assert made.status_code == 201, made.text
        return Workspace(self, made.json())

    def rpc(self, method, params=None):
        answer = self.request("POST", "/v2/dotmesh/rpc", json=call(method, params))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def result(self, method, params=None):
        answer = self.rpc(method, params)
        assert "error" not in answer, answer
        return answer["result"]


class Workspace:
    """A project's workspace as one user sees it."""

    def __init__(self, client, project):
        self.client, self.hub, self.id = client, client.hub, project["id"]
        self.name = f"project-{self.id[:8]}-default-workspace"

    def as_user(self, token, user=OWNER):
        return Workspace(LegacyClient(self.hub, token, user), {"id": self.id})

    def let_in(self, person, role):
        """The workspace as they see it, with a role in its project."""
        self.hub.call("PUT", f"/api/v1/projects/{self.id}/collaborators/{person.name}", json={"role": role})
        return self.as_user(person.token, person.name)

    def change(self, **changes):
        """Change the project, as the administrator."""
        self._as_it_is("PATCH", json=changes)

    def trash(self):
        """Move the project to the trash, as the administrator."""
        self._as_it_is("DELETE")

    def restore(self):
        """Bring it back."""
        self.hub.call("POST", "/api/v1/trash/restore", json={"project_id": self.id})

    def _as_it_is(self, method, **options):
        path = f"/api/v1/projects/{self.id}"
        found = self.hub.request("GET", path, token=self.hub.admin)
        done = self.hub.request(
            method, path, token=self.hub.admin, headers={"If-Match": found.headers["ETag"]}, **options
        )
        assert done.ok, done.text

    @property
    def params(self):
        return {"Namespace": self.client.auth[0], "Name": self.name, "Branch": ""}

    @property
    def dot_id(self):
        return self.client.result("Lookup", self.params)

    def key(self, key="", at=""):
        return f"/v2/dotmesh/s3/{self.client.auth[0]}:{self.name}{at}{'/' * bool(key)}{key}"

    def put(self, key, data, **headers):
        return self.client.request("PUT", self.key(key), data=data, headers=headers)

    def unpack(self, folder, archive):
        return self.put(folder, archive, Extract="true")

    def get(self, key="", **options):
        return self.client.request("GET", self.key(key), **options)

    def keys(self, **query):
        return [one["key"] for one in self.get(params={"Format": "json", **query}).json()["Items"]]

    def commit(self, metadata, message="Remote dotscience run"):
        return self.client.rpc("Commit", {**self.params, "Message": message, "Metadata": metadata})

    def api(self, path):
        return self.hub.call("GET", f"/api/v1/projects/{self.id}{path}")

    def content(self, commit, path):
        answer = self.hub.request(
            "GET",
            f"/api/v1/projects/{self.id}/commits/{commit}/content",
            params={"path": path},
            token=self.hub.admin,
        )
        assert answer.ok, answer.text
        return answer.content

    @contextmanager
    def locked(self, what="Jupyter (task 4abc9799)"):
        """Hold the workspace's lock, as a part of the hub that writes to it does; nobody waits for it."""
        locks = self.hub.services.workspaces.locks
        before, locks.wait_s = locks.wait_s, 0
        hold = locks.hold(self.dot_id, what)
        self.hub.on_loop(hold.__aenter__())
        try:
            yield
        finally:
            self.hub.on_loop(hold.__aexit__(None, None, None))
            locks.wait_s = before


def call(method, params=None):
    body = {"jsonrpc": "2.0", "method": f"DotmeshRPC.{method}", "id": 7}
    return body if params is None else body | {"params": params}


def run_metadata(run_id, outputs=(), **about):
    """The metadata of a commit with one run, as the original's client writes it."""
    keys = {"version": "1", "output-files": _json(outputs), "authority": "remote", **about}
    commit = {"author": OWNER, "runs": _json([run_id]), "type": "dotscience.run.v1", "workload.type": "remote"}
    return commit | {f"run.{run_id}.{key}": value for key, value in keys.items()}


def _json(names):
    return json.dumps(list(names))


def tar(*entries, kind=tarfile.PAX_FORMAT):
    """An archive of entries: pairs of a name and content, or `TarInfo`s."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=kind) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                name, content = entry
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return data.getvalue()


def entry(name, kind, target=""):
    """An entry without content."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header

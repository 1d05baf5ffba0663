"""Requests that are malformed, too large, or not what the operation takes; and lists with their cursors."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing

import pytest


def document(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{kind}"
    return answer.json()


@pytest.mark.parametrize(
    "query",
    ["limt=5", "limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor=" + "a" * 3000, "limit=%ff"],
)
def test_bad_query_parameters_are_refused_by_name(hub, query):
    answer = hub.request("GET", f"/api/v1/projects?{query}", token=hub.admin)
    (error,) = document(answer, 400, "invalid-parameter")["errors"]
    assert error["pointer"] == query.partition("=")[0]


def test_a_query_has_a_largest_size(hub):
    answer = hub.request("GET", "/api/v1/projects?x=" + "a" * 10_000, token=hub.admin)
    document(answer, 400, "invalid-parameter")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "a" * 100])
def test_a_cursor_cannot_be_made_up(hub, cursor):
    answer = hub.request("GET", "/api/v1/projects", params={"cursor": cursor}, token=hub.admin)
    document(answer, 400, "malformed-request")


def test_a_cursor_belongs_to_one_list(project, new_run):
    project.push(new_run(), new_run())
    cursor = project.get("/runs?limit=1")["next"]
    assert project.get(f"/runs?limit=1&cursor={cursor}")["next"] is None
    for other in (
        f"/runs?order=asc&cursor={cursor}",
        f"/runs?sort=param.x&cursor={cursor}",
        f"/commits?cursor={cursor}",
    ):
        answer = project.hub.request("GET", project.base + other, token=project.token)
        document(answer, 400, "malformed-request")


@pytest.mark.parametrize("sort", ["", "started", "param.", "metric.x", ".x"])
def test_an_unknown_sort_is_refused(project, sort):
    answer = project.hub.request("GET", project.base + "/runs", params={"sort": sort}, token=project.token)
    document(answer, 400, "invalid-parameter")


@pytest.mark.parametrize(
    ("body", "status", "kind", "pointer"),
    [
        (b"", 400, "malformed-request", None),
        (b"{", 400, "malformed-request", None),
        (b"\xff", 400, "malformed-request", None),
        (b"[" * 100_000, 422, "invalid", ""),
        (b'{"name": ' + b"[" * 100_000, 422, "invalid", "/name"),
        (b'{"name": 5}', 422, "invalid", "/name"),
        (b'{"name": "a", "nam": "b"}', 422, "invalid", "/nam"),
        (b"[]", 422, "invalid", ""),
        (b'{"name": ""}', 422, "invalid", "/name"),
        (b'{"name": "a\\u0000b"}', 422, "invalid", "/name"),
        (b'{"name": "\\u202eevil"}', 422, "invalid", "/name"),
        (b'{"name": "' + b"a" * 201 + b'"}', 422, "invalid", "/name"),
        (b'{"name": "a", "dot_id": "../.."}', 422, "invalid", "/dot_id"),
    ],
)
def test_bad_bodies_say_where(hub, body, status, kind, pointer):
    answer = hub.request(
        "POST", "/api/v1/projects", token=hub.admin, data=body, headers={"Content-Type": "application/json"}
    )
    found = document(answer, status, kind)
    if pointer is not None:
        assert found["errors"][0]["pointer"] == pointer


def test_a_body_has_a_largest_size(hub):
    answer = hub.request("POST", "/api/v1/projects", token=hub.admin, json={"name": "a" * 2**20})
    document(answer, 413, "too-large")


def test_a_body_has_one_content_type(hub):
    answer = hub.request(
        "POST", "/api/v1/projects", token=hub.admin, data=b'{"name": "a"}', headers={"Content-Type": "text/plain"}
    )
    document(answer, 415, "unsupported-media-type")


def test_a_wrong_method_says_which_ones_there_are(hub):
    answer = hub.request("DELETE", "/api/v1/projects", token=hub.admin)
    document(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert hub.request("TRACE", "/api/v1/projects", token=hub.admin).status_code == 405


@pytest.mark.parametrize("path", ["/api", "/api/v2/x", "/api/v1/nope", "/api/v1/projects/"])
def test_an_unknown_path_of_the_api_is_a_problem(hub, path):
    document(hub.request("GET", path, token=hub.admin), 404, "not-found")


@pytest.mark.parametrize("path", ["/api/v1/projects/%00", "/api/v1/projects/%ff", "/api/v1/projects/..%2f..%2fetc"])
def test_hostile_path_parts_are_not_found_or_malformed(hub, path):
    assert hub.request("GET", path, token=hub.admin).status_code in (400, 404)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/healthz", {"X-Long": "a" * 40_000}),
        ("/healthz", {f"X-{number}": "a" * 100 for number in range(400)}),
        ("/" + "a" * 40_000, {}),
        ("/api/v1/projects/" + "a" * 40_000, {}),
    ],
)
def test_headers_have_a_largest_size(hub, path, headers):
    port = int(hub.url.rpartition(":")[2])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    assert (answer.status, said["type"]) == (431, "/problems/headers-too-large")
    assert answer.headers["Connection"] == "close"


def test_headers_without_end_are_cut_off(hub):
    with socket.create_connection(("127.0.0.1", int(hub.url.rpartition(":")[2])), timeout=10) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2**19 + b"\r\n\r\n")
        try:
            answer = raw.recv(1000)
        except ConnectionResetError:
            answer = b""
        assert answer == b""
    assert hub.request("GET", "/healthz").ok


def test_a_page_of_large_runs_has_fewer(project, new_run):
    records = [new_run(labels={"text": "x" * 3_000_000}) for _ in range(5)]
    for one in records:
        project.push(one)
    seen, cursor = [], ""
    while cursor is not None:
        page = project.get(f"/runs?limit=100{cursor and '&cursor=' + cursor}")
        assert 1 <= len(page["items"]) <= 2
        assert page["total"] == 5
        seen += [run["id"] for run in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(one.run_id for one in records)


def test_head_is_get_without_a_body(hub):
    answer = hub.request("HEAD", "/healthz")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "15")


def test_names_are_numbered_when_taken(own_hub):
    names = [own_hub.call("POST", "/api/v1/projects", json={"name": " iris "})["name"] for _ in range(3)]
    assert names == ["iris", "iris-2", "iris-3"]


def test_a_dot_has_one_project(hub, project):
    again = hub.request(
        "POST", "/api/v1/projects", token=hub.admin, json={"name": "other", "dot_id": project.dot_id.upper()}
    )
    assert (again.status_code, again.json()["id"]) == (200, project.id)


def test_projects_are_listed_page_by_page(own_hub):
    made = [own_hub.call("POST", "/api/v1/projects", json={"name": "p"})["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = own_hub.call("GET", "/api/v1/projects?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        assert page["total"] == 5
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_the_openapi_document_is_valid(hub):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = hub.call("GET", "/api/v1/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    run = document["components"]["schemas"]["RunInfo"]["properties"]
    assert run["record"] == {"$ref": "#/components/schemas/RunRecord"}


def test_the_dashboard_has_a_strict_policy(hub):
    answer = hub.request("GET", "/p/some/page")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert hub.request("GET", "/assets/../../app.py").status_code in (200, 404, 503)
    assert b"composition root" not in hub.request("GET", "/..%2fapp.py").content


def test_problem_types_have_a_page(hub):
    answer = hub.request("GET", "/problems/head-moved")
    assert answer.status_code == 200
    assert "409" in answer.text
    document(hub.request("GET", "/problems/nope"), 404, "not-found")


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**24 + 1, 2**40])
def test_a_refused_request_says_that_its_connection_ends(hub, size):
    """Its body is not read; a client that sent its next request on the same connection would meet a reset."""
    host, _, port = hub.url.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.putrequest("PUT", f"/api/v1/dots/{'0' * 8}/packs/{'0' * 64}")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (401, "close")

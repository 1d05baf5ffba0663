"""A hub whose database goes away and comes back."""

from __future__ import annotations

from support import postgres


def test_a_hub_says_whether_its_database_answers(serve_hub, tmp_path, new_run):
    with postgres.server() as server, server.database() as url, serve_hub(tmp_path / "hub", database=url) as hub:
        project = hub.new_project()
        project.push(new_run())
        assert hub.call("GET", "/readyz") == {"status": "ok"}
        with server.stopped():
            answer = hub.request("GET", "/readyz")
            assert answer.status_code == 503
            assert answer.json()["type"] == "/problems/storage-unavailable"
            assert hub.call("GET", "/healthz") == {"status": "ok"}
            assert hub.request("GET", project.base + "/runs", token=project.token).status_code == 503
        assert hub.call("GET", "/readyz") == {"status": "ok"}
        project.push(new_run())
        assert project.get("/runs")["total"] == 2


def test_a_hub_with_a_file_is_ready(hub):
    assert hub.call("GET", "/readyz") == {"status": "ok"}

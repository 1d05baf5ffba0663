"""What a hub says of itself to Prometheus."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import websocket
from prometheus_client.parser import text_string_to_metric_families
from support import postgres


def read(hub, **options):
    """Every sample, by its name and labels."""
    answer = hub.request("GET", "/metrics", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_operation_and_status(own_hub):
    project = own_hub.new_project()
    before = read(own_hub)
    for _ in range(3):
        project.get("/runs")
    assert own_hub.request("GET", project.base + "/runs").status_code == 401
    after = read(own_hub)
    assert after["dotscience_requests_total", "200", "list_runs"] == 3
    assert after["dotscience_requests_total", "401", "list_runs"] == 1
    assert after["dotscience_request_duration_seconds_count", "list_runs"] == 4
    assert after["dotscience_requests_total", "200", "metrics"] > before.get(
        ("dotscience_requests_total", "200", "metrics"), 0
    )
    assert after["dotscience_hub_info", own_hub.call("GET", "/api/v1/version")["version"]] == 1
    assert after["process_resident_memory_bytes",] > 0


def test_what_is_stored_is_counted(own_hub, new_run):
    project = own_hub.new_project()
    project.push(new_run(), new_run(), files={"a": b"1"})
    told = read(own_hub)
    size = sum(path.stat().st_size for path in (own_hub.data / "packs").glob("*/*"))
    names = ("projects", "runs", "runs_ingested_total", "packs", "pack_bytes", "damaged_packs", "up")
    assert [told[f"dotscience_{name}",] for name in names] == [1, 2, 2, 1, size, 0, 1]
    assert told["dotscience_database_work_seconds_count", "write"] > 0
    assert told["dotscience_database_wait_seconds_count", "read"] > 0
    assert told["dotscience_database_queue", "write"] == 0
    project.post_commit(project.head)
    assert read(own_hub)["dotscience_runs_ingested_total",] == 2, "the same push again brings no runs"


def test_nothing_that_clients_send_becomes_a_label(own_hub):
    before = len(read(own_hub))
    for number in range(20):
        own_hub.request("GET", f"/some/page/{number}")
        own_hub.request("GET", f"/api/v1/nothing/{number}")
        own_hub.request("GET", f"/api/v1/projects/{number}/runs", token=own_hub.admin)
        own_hub.request("DELETE", f"/api/v1/projects/{number}/runs", token=own_hub.admin)
        own_hub.request("GET", "/", headers={"Host": f"evil{number}.example"})
        own_hub.request("GET", "/problems/" + "x" * number)
    told = read(own_hub)
    operations = {key[-1] for key in told if key[0] == "dotscience_requests_total"}
    assert operations <= {"dashboard", "unknown", "metrics", "list_runs"}
    once = len(told)
    own_hub.request("GET", "/another/page")
    assert len(read(own_hub)) == once
    assert once - before < 200


def test_listeners_are_counted(own_hub):
    address = urlsplit(own_hub.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as raw:
        url = f"ws://{address.netloc}/api/v1/events"
        header = [f"Authorization: Bearer {own_hub.admin}"]
        connection = websocket.create_connection(url, socket=raw, suppress_origin=True, header=header)
        connection.send('{"subscribe": ["projects"]}')
        assert connection.recv()
        assert read(own_hub)["dotscience_listeners",] == 1
    while read(own_hub)["dotscience_listeners",]:
        pass


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "203.0.113.9"},
        {"Host": "hub.example.org"},
    ],
)
def test_what_a_proxy_passes_on_needs_the_scope(serve_hub, tmp_path, headers):
    with serve_hub(tmp_path / "hub", public_url="https://hub.example.org") as hub:
        assert hub.request("GET", "/metrics", headers=headers).status_code == 401
        made = hub.call("POST", "/api/v1/tokens", json={"name": "prometheus", "scopes": ["metrics:read"]})
        assert read(hub, headers=headers, token=made["token"])
        other = hub.call("POST", "/api/v1/tokens", json={"name": "other", "scopes": ["runs:read"]})
        assert hub.request("GET", "/metrics", headers=headers, token=other["token"]).status_code == 403


def test_metrics_are_there_while_the_database_is_not(serve_hub, tmp_path, new_run):
    with postgres.server() as server, server.database() as url, serve_hub(tmp_path / "hub", database=url) as hub:
        hub.new_project().push(new_run())
        assert read(hub)["dotscience_up",] == 1
        with server.stopped():
            told = read(hub)
            assert told["dotscience_up",] == 0
            assert told["dotscience_runs",] == 1, "what was known last"

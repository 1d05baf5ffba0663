"""A hub behind a proxy: who asks, under which name, and below which path."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import websocket
from support.certificates import make_certificate
from support.histories import count_shown, push_all, write_history
from support.requirements import lacks
from support.reverse_proxy import reverse_proxy

from committer.storage.objects import Kind
from dotscience.cli.processes import free_port
from dotscience.client.hub import HubClient
from hub_server.network_settings import networks

LOCAL = networks("127.0.0.0/8,::1")
ELSEWHERE = networks("10.0.0.0/8")
PUBLIC = "https://example.org/dotscience"


def fail_to_sign_in(hub, headers=None):
    return hub.request("POST", "/api/v1/sessions", json={"code": "x"}, headers=headers).status_code


def test_a_trusted_proxy_says_whose_failures_are_counted(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", trusted_proxies=LOCAL) as hub:
        eve, bob = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
        assert [fail_to_sign_in(hub, eve) for _ in range(11)] == [401] * 10 + [429]
        assert fail_to_sign_in(hub, bob) == 401
        forged = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1"}
        assert fail_to_sign_in(hub, forged) == 429, "what comes before what our proxy wrote is a claim"
        chain = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1, 127.0.0.5"}
        assert fail_to_sign_in(hub, chain) == 429, "our own proxies are passed over"


@pytest.mark.parametrize("trusted", [(), ELSEWHERE])
def test_nobody_else_can_say_that_they_are_somebody_else(serve_hub, tmp_path, trusted):
    with serve_hub(tmp_path / "hub", trusted_proxies=trusted) as hub:
        codes = [fail_to_sign_in(hub, {"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(11)]
        assert codes == [401] * 10 + [429]


@pytest.mark.parametrize("trusted", [(), ELSEWHERE])
def test_nobody_else_can_change_the_host_or_the_scheme(serve_hub, tmp_path, trusted):
    with serve_hub(tmp_path / "hub", public_url="http://hub.example.org", trusted_proxies=trusted) as hub:
        forged = {"X-Forwarded-Host": "hub.example.org", "X-Forwarded-Proto": "https"}
        assert hub.request("GET", "/healthz", headers={"Host": "evil.example", **forged}).status_code == 421
        code = hub.call("POST", "/api/v1/login-codes", json={})["code"]
        answer = hub.request("POST", "/api/v1/sessions", json={"code": code}, headers=forged)
        assert answer.headers["Set-Cookie"].startswith("ds_session=")
        headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
        assert hub.request("GET", "/metrics", headers=headers).status_code == 421


def test_a_trusted_proxy_says_which_host_and_scheme_was_asked_for(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", public_url="https://hub.example.org", trusted_proxies=LOCAL) as hub:
        told = {"Host": "backend", "X-Forwarded-Host": "hub.example.org", "X-Forwarded-Proto": "https"}
        assert hub.request("GET", "/healthz", headers=told).ok
        assert hub.request("GET", "/healthz", headers={"Host": "backend"}).status_code == 421
        assert hub.request("GET", "/healthz", headers=told | {"X-Forwarded-Host": "evil.example"}).status_code == 421
        assert hub.request("GET", "/metrics", headers=told).status_code == 401
        code = hub.call("POST", "/api/v1/login-codes", json={})["code"]
        for origin, status in (("https://evil.example", 403), ("https://hub.example.org", 201)):
            headers = told | {"Origin": origin}
            answer = hub.request("POST", "/api/v1/sessions", json={"code": code}, headers=headers)
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "unknown, , ;;;"},
        {"X-Forwarded-For": "203.0.113.1:4711, [2001:db8::1]:80"},
        {"X-Forwarded-For": "," * 5_000},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": ""},
        {"X-Forwarded-Proto": "https, , http,"},
    ],
)
def test_headers_that_say_nothing_change_nothing(serve_hub, tmp_path, headers):
    with serve_hub(tmp_path / "hub", trusted_proxies=LOCAL) as hub:
        assert hub.request("GET", "/healthz", headers=headers).ok
        assert fail_to_sign_in(hub, headers) == 401


@pytest.fixture(params=["keeps", "strips"])
def behind(request, serve_hub, tmp_path):
    """A hub below a path of a proxy, which hands paths on with it or without it; and the address there."""
    strip = "/dotscience" if request.param == "strips" else ""
    with serve_hub(tmp_path / "hub", public_url=PUBLIC, trusted_proxies=LOCAL) as hub:
        told = {"Host": "backend.internal", "X_Forwarded_Host": "example.org", "X_Forwarded_Proto": "https"}
        with reverse_proxy(hub.url, strip=strip, **told) as url:
            yield hub, url + "/dotscience"


def test_everything_is_below_the_path(behind, new_run):
    hub, url = behind
    made = hub.call("POST", "/api/v1/login-codes", json={})
    assert made["url"] == f"{PUBLIC}/login#code={made['code']}"
    own = {"Origin": "https://example.org"}
    session = requests.post(f"{url}/api/v1/sessions", json={"code": made["code"]}, headers=own, timeout=10)
    assert session.status_code == 201, session.text
    cookie = session.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-ds_session=")
    assert {"Path=/dotscience/", "Secure", "HttpOnly"} <= {part.strip() for part in cookie.split(";")}
    cookies = {"__Secure-ds_session": session.cookies["__Secure-ds_session"]}
    assert requests.get(f"{url}/api/v1/session", cookies=cookies, timeout=10).json()["account"]
    project = hub.new_project()
    project.push(new_run())
    token = {"Authorization": f"Bearer {project.token}"}
    listed = requests.get(f"{url}{project.base}/runs", headers=token, timeout=10).json()
    assert listed["total"] == 1
    missing = requests.get(f"{url}/api/v1/nothing", timeout=10).json()
    assert requests.get(url + missing["type"], timeout=10).ok


def test_the_dashboard_refers_to_itself_below_the_path(behind):
    _, url = behind
    for path in ("/", "/p/some/runs", "/login"):
        page = requests.get(url + path, timeout=10)
        assert 'content="/dotscience/"' in page.text
        assert '"./' not in page.text
    script = page.text.partition('src="')[2].partition('"')[0]
    assert script.startswith("/dotscience/assets/")
    answer = requests.get(url.removesuffix("/dotscience") + script, timeout=10)
    assert answer.headers["Content-Type"].partition(";")[0] == "text/javascript"


def test_pages_of_other_origins_can_do_nothing(behind):
    hub, url = behind
    code = hub.call("POST", "/api/v1/login-codes", json={})["code"]
    for origin in ("https://evil.example", "http://example.org", "https://example.org:8443", "null"):
        answer = requests.post(f"{url}/api/v1/sessions", json={"code": code}, headers={"Origin": origin}, timeout=10)
        assert answer.json()["type"] == "/problems/cross-site", origin


def hear(url, token, origin):
    """The first event that a page of this origin hears."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as raw:
        connection = websocket.create_connection(
            url.replace("http", "ws", 1) + "/api/v1/events",
            socket=raw,
            origin=origin,
            header=[f"Authorization: Bearer {token}"],
        )
        connection.send('{"subscribe": ["projects"]}')
        return connection.recv()


def test_live_events_come_through(behind):
    hub, url = behind
    assert "subscribed" in hear(url, hub.admin, "https://example.org")
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        hear(url, hub.admin, "https://evil.example")


def test_what_only_looks_like_the_path_is_not_below_it(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", public_url=PUBLIC) as hub:
        assert hub.request("GET", "/dotscience/healthz").json() == {"status": "ok"}
        assert hub.request("GET", "/healthz").json() == {"status": "ok"}, "programs here use no prefix"
        assert hub.request("GET", "/dotsciencehealthz").headers["Content-Type"].startswith("text/html")
        assert hub.request("GET", "/dotscience").headers["Content-Type"].startswith("text/html")
        assert hub.request("GET", "/dotscience/api/nothing").status_code == 404


NGINX = "/usr/sbin/nginx"
SERVER = """
user {user}; daemon off; pid {folder}/pid; error_log stderr; events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  server {{ listen 127.0.0.1:{port} {tls}; {location} }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    """nginx in front of a hub, as docs/hub.md says: its address below the hub's path."""
    if not Path(NGINX).exists():
        lacks("needs the package nginx-light")
    manual = (Path(__file__).parents[3] / "docs" / "hub.md").read_text()
    documented = manual.partition("```nginx\n")[2].partition("```")[0]
    port = free_port(0)

    @contextmanager
    def run(hub_url, files=None):
        """With the files of a certificate it speaks TLS."""
        scheme = "http" if files is None else "https"
        tls = "" if files is None else f"ssl; ssl_certificate {files.certificate}; ssl_certificate_key {files.key}"
        location = documented.replace("http://127.0.0.1:8800", hub_url)
        (tmp_path / "nginx.conf").write_text(
            SERVER.format(user=getuser(), folder=tmp_path, port=port, location=location, tls=tls)
        )
        with subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]) as process:
            try:
                while not answers(f"{scheme}://localhost:{port}", files and files.certificate):
                    assert process.poll() is None
                yield f"{scheme}://localhost:{port}/dotscience"
            finally:
                process.terminate()

    return run


def answers(url, certificate=None):
    try:
        requests.get(url, timeout=5, verify=str(certificate) if certificate else True)
    except requests.ConnectionError:
        return False
    return True


def test_nginx_as_documented(nginx, serve_hub, tmp_path, new_run, new_pack):
    url = "http://localhost/dotscience"
    with serve_hub(tmp_path / "hub", public_url=url, trusted_proxies=LOCAL) as hub, nginx(hub.url) as outside:
        host = {"Host": "localhost"}
        assert requests.get(outside + "/healthz", headers=host, timeout=10).json() == {"status": "ok"}
        assert requests.get(outside + "/metrics", headers=host, timeout=10).status_code == 401
        assert 'content="/dotscience/"' in requests.get(outside + "/p/x", headers=host, timeout=10).text
        assert "subscribed" in hear(outside, hub.admin, outside.removesuffix("/dotscience"))
        project = hub.new_project()
        project.hub.url = outside
        noise = new_pack()
        noise.add(Kind.BLOB, os.urandom(8 * 2**20))
        assert project.put_pack(noise.bytes()).status_code == 201
        project.push(new_run())
        assert project.get("/runs")["total"] == 1


def test_all_that_clients_do_goes_through_tls_and_nginx(nginx, serve_hub, tmp_path, new_run, monkeypatch):
    """A push of large files by a committer's code, events as a stream and by WebSocket, and a large download."""
    files = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.certificate))
    public = "https://localhost/dotscience"
    with serve_hub(tmp_path / "hub", public_url=public, trusted_proxies=LOCAL) as hub, nginx(hub.url, files) as outside:
        project = hub.new_project()
        hub.url = outside
        with HubClient(outside, project.token) as client:
            events = client.events(project.id)
            assert next(events)["type"] == "subscribed"
            history = write_history(tmp_path / "store", project.dot_id, length=2, file_size=40 * 2**20)
            push_all(history.store, history.target(outside, project))
            assert next(events)["type"] in ("run.created", "commit.created")
        assert count_shown(project, history) == 2
        heard = websocket.create_connection(
            outside.replace("https", "wss", 1) + "/api/v1/events",
            origin="https://localhost",
            header=[f"Authorization: Bearer {hub.admin}"],
            sslopt={"ca_certs": str(files.certificate)},
            host="localhost",
        )
        heard.send('{"subscribe": ["projects"]}')
        assert "subscribed" in heard.recv()
        heard.close()

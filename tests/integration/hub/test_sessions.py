"""Signing in with a browser, and what other sites' pages cannot do with its cookie."""

from __future__ import annotations

import pytest


def code_for(hub):
    return hub.call("POST", "/api/v1/login-codes", json={})["code"]


def sign_in(hub, **options):
    return hub.request("POST", "/api/v1/sessions", json={"code": code_for(hub)}, **options)


@pytest.fixture
def cookies(hub):
    answer = sign_in(hub)
    assert answer.status_code == 201
    return dict(answer.cookies)


def test_a_login_link_signs_one_browser_in_once(hub):
    made = hub.call("POST", "/api/v1/login-codes", json={})
    assert made["url"] == f"{hub.url}/login#code={made['code']}"
    answer = hub.request("POST", "/api/v1/sessions", json={"code": made["code"]})
    assert answer.status_code == 201
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("ds_session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    session = hub.request("GET", "/api/v1/session", cookies=dict(answer.cookies)).json()
    assert session["account"] == answer.json()["account"]
    assert "admin" in session["scopes"]
    again = hub.request("POST", "/api/v1/sessions", json={"code": made["code"]})
    assert again.status_code == 401
    assert "ds hub login-link" in again.json()["detail"]


def test_a_login_link_works_for_ten_minutes(own_hub):
    code = code_for(own_hub)
    own_hub.clock.advance(minutes=10)
    assert own_hub.request("POST", "/api/v1/sessions", json={"code": code}).status_code == 401


def test_guessing_is_slowed_down(own_hub):
    good = code_for(own_hub)
    for _ in range(10):
        assert own_hub.request("POST", "/api/v1/sessions", json={"code": "guess"}).status_code == 401
    answer = own_hub.request("POST", "/api/v1/sessions", json={"code": good})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    own_hub.clock.advance(seconds=61)
    assert own_hub.request("POST", "/api/v1/sessions", json={"code": good}).status_code == 201


def test_a_session_ends_when_unused_and_in_any_case_after_a_month(own_hub):
    idle = dict(sign_in(own_hub).cookies)
    used = dict(sign_in(own_hub).cookies)
    for _ in range(4):
        own_hub.clock.advance(days=6)
        assert own_hub.request("GET", "/api/v1/session", cookies=used).ok
    assert own_hub.request("GET", "/api/v1/session", cookies=idle).status_code == 401
    own_hub.clock.advance(days=6)
    assert own_hub.request("GET", "/api/v1/session", cookies=used).status_code == 401


def test_signing_out_ends_the_session(hub, cookies):
    answer = hub.request("DELETE", "/api/v1/session", cookies=cookies)
    assert answer.status_code == 204
    assert "ds_session=" in answer.headers["Set-Cookie"]
    assert hub.request("GET", "/api/v1/session", cookies=cookies).status_code == 401


@pytest.mark.parametrize("value", ["", "x", "é" * 50, "a" * 4000])
def test_a_wrong_cookie_is_a_401(hub, value):
    answer = hub.request("GET", "/api/v1/session", headers={"Cookie": f"ds_session={value}".encode()})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "SELF"},
        {"Referer": "https://evil.example/page"},
        {"Referer": "http://[bad"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_a_page_of_another_origin_cannot_post(hub, cookies, headers):
    headers = {name: value.replace("SELF", hub.url) for name, value in headers.items()}
    answer = hub.request("POST", "/api/v1/projects", cookies=cookies, headers=headers, json={"name": "evil"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")
    assert sign_in(hub, headers=headers).status_code == 403, "nor sign the browser in as somebody else"


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "SELF"}, {}, {"Referer": "SELF/p/x"}]
)
def test_our_own_page_can_post(hub, cookies, headers):
    headers = {name: value.replace("SELF", hub.url) for name, value in headers.items()}
    answer = hub.request("POST", "/api/v1/projects", cookies=cookies, headers=headers, json={"name": "mine"})
    assert answer.status_code == 201


def test_a_token_of_one_project_sees_and_ends_no_sessions(hub, cookies, token):
    """It holds the scopes, but the browsers are the account's."""
    session = hub.call("GET", "/api/v1/sessions")[0]["id"]
    bound = token("tokens:write", "runs:read", project=hub.new_project("bound").id)
    for method, path in (("GET", "/api/v1/sessions"), ("DELETE", f"/api/v1/sessions/{session}")):
        answer = hub.request(method, path, headers={"Authorization": f"Bearer {bound}"})
        assert (answer.status_code, answer.json()["type"]) in (
            (403, "/problems/forbidden"),
            (404, "/problems/not-found"),
        )
    assert hub.request("GET", "/api/v1/session", cookies=cookies).status_code == 200


def test_no_page_of_another_origin_can_read(hub, cookies):
    answer = hub.request("GET", "/api/v1/session", cookies=cookies, headers={"Origin": "http://evil.example"})
    assert not any(name.startswith("Access-Control") for name in answer.headers)
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    preflight = hub.request("OPTIONS", "/api/v1/session", headers={"Origin": "http://evil.example"})
    assert preflight.status_code == 405
    assert not any(name.startswith("Access-Control") for name in preflight.headers)


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/session", "/api/v1/events", "/assets/x.js"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]"])
def test_a_foreign_host_name_gets_nothing(hub, path, host):
    answer = hub.request("GET", path, headers={"Host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "/problems/misdirected")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:8800"])
def test_loopback_names_are_ours(hub, host):
    assert hub.request("GET", "/healthz", headers={"Host": host}).status_code == 200


def test_a_public_https_url_makes_cookies_secure(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", public_url="https://hub.example.org") as hub:
        made = hub.call("POST", "/api/v1/login-codes", json={})
        assert made["url"].startswith("https://hub.example.org/login#code=")
        headers = {"Host": "hub.example.org", "Origin": "https://hub.example.org"}
        answer = hub.request("POST", "/api/v1/sessions", json={"code": made["code"]}, headers=headers)
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-ds_session=")
        assert "Secure" in cookie
        assert "Domain" not in cookie

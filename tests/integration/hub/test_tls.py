"""A hub that speaks TLS itself."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl

import pytest
import requests
from support.certificates import make_certificate
from support.hub_command import hub_command

from dotscience.client.local_hub import read_hub_file
from dotscience.errors import ConfigError
from hub_server.tls import Certificate


@pytest.fixture
def files(tmp_path):
    return make_certificate(tmp_path)


@pytest.fixture
def hub(serve_hub, tmp_path, files):
    settings = {"tls_cert": files.certificate, "tls_key": files.key}
    with serve_hub(tmp_path / "hub", public_url="https://hub.example.org", **settings) as running:
        yield running


def test_people_reach_it_by_https_and_programs_on_the_machine_by_loopback(hub, files):
    assert hub.url.startswith("https://127.0.0.1:")
    assert hub.request("GET", "/healthz", verify=files.certificate).ok
    with pytest.raises(requests.exceptions.SSLError):
        hub.request("GET", "/healthz")
    with pytest.raises(requests.ConnectionError):
        requests.get(hub.url.replace("https:", "http:") + "/healthz", timeout=10)
    local = read_hub_file(hub.data).url
    assert local.startswith("http://127.0.0.1:")
    assert requests.get(local + "/healthz", timeout=10).ok
    told = hub_command(hub.data, "login-link")
    assert told.stdout.startswith("https://hub.example.org/login#code="), told.stderr


def test_sessions_are_secure(hub, files):
    code = hub.call("POST", "/api/v1/login-codes", json={}, verify=files.certificate)["code"]
    headers = {"Host": "hub.example.org", "Origin": "https://hub.example.org"}
    answer = hub.request("POST", "/api/v1/sessions", json={"code": code}, headers=headers, verify=files.certificate)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-ds_session=")
    assert "Secure" in cookie
    elsewhere = {"Host": "hub.example.org", "Origin": "http://hub.example.org"}
    answer = hub.request("POST", "/api/v1/sessions", json={"code": code}, headers=elsewhere, verify=files.certificate)
    assert answer.json()["type"] == "/problems/cross-site"


def shown(hub):
    """The certificate that a new connection gets."""
    host, _, port = hub.url.removeprefix("https://").partition(":")
    return ssl.get_server_certificate((host, int(port)))


def test_a_certificate_that_was_renewed_is_used_without_a_restart(hub, files, tmp_path):
    first = shown(hub)
    assert first == files.certificate.read_text()
    renewed = make_certificate(tmp_path, "renewed")
    shutil.copy(renewed.certificate, files.certificate)
    assert shown(hub) == first, "until its key is there too"
    shutil.copy(renewed.key, files.key)
    assert shown(hub) == renewed.certificate.read_text()
    files.key.write_text("no key")
    files.certificate.unlink()
    assert shown(hub) == renewed.certificate.read_text()
    assert requests.get(hub.url + "/healthz", timeout=10, verify=renewed.certificate).ok


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's, about what is tried here
def test_old_tls_is_refused(hub):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    port = int(hub.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw)


def refused(data, *arguments):
    told = hub_command(data, "--port", 0, *arguments)
    assert (told.returncode, told.stdout) == (1, ""), told
    assert told.stderr.startswith("Error: ")
    assert "Traceback" not in told.stderr
    return told.stderr


def test_files_that_cannot_be_used_are_said(tmp_path, files):
    other, secret = make_certificate(tmp_path, "other"), make_certificate(tmp_path, "secret", password="secret")
    none, text = tmp_path / "none", tmp_path / "text"
    text.write_text("no certificate")
    for certificate, key, said in (
        (none, files.key, f"{none}, cannot be read (No such file"),
        (files.certificate, none, f"key of the certificate, {none}, cannot be read"),
        (tmp_path, files.key, "cannot be read (Is a directory)"),
        (files.certificate, other.key, "is not that of the certificate"),
        (text, files.key, "in PEM format"),
        (files.certificate, text, "in PEM format"),
        (files.key, files.certificate, "in PEM format"),
        (secret.certificate, secret.key, "has a password"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            Certificate(certificate, key)
    if os.geteuid():
        files.key.chmod(0)
        with pytest.raises(ConfigError, match="Permission denied"):
            Certificate(files.certificate, files.key)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tls-cert", "{files.certificate}", "--tls-key", "{files.certificate}"), "in PEM format"),
        (("--tls-cert", "{files.certificate}"), "--tls-cert FILE and --tls-key FILE"),
        (
            ("--tls-cert", "{files.certificate}", "--tls-key", "{files.key}", "--public-url", "http://example.org"),
            "must begin with https:",
        ),
    ],
)
def test_a_hub_does_not_start_without_tls_that_was_asked_for(tmp_path, files, arguments, said):
    assert said in refused(tmp_path / "hub", *(one.format(files=files) for one in arguments))

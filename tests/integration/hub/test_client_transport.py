"""Clients reach a hub by the certificates and proxies that the user's environment names."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from support.certificates import make_certificate
from support.http_server import Answer, serve

from dotscience.cli.frame import main
from dotscience.client.hub import HubClient
from dotscience.client.transport import CERTIFICATE_VARIABLES, keep_certificate
from dotscience.errors import ConfigError, HubError, HubUnavailable, Unauthenticated
from dotscience.legacy_hub import LegacyHub

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in (*CERTIFICATE_VARIABLES, *PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def files(tmp_path):
    return make_certificate(tmp_path)


@pytest.fixture
def hub(serve_hub, tmp_path, files):
    with serve_hub(tmp_path / "hub", tls_cert=files.certificate, tls_key=files.key) as running:
        yield running


def version(url):
    with HubClient(url, retries=0) as client:
        return client.version()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_are_those_that_the_environment_names(hub, files, monkeypatch, name):
    monkeypatch.setenv(name, str(files.certificate))
    assert version(hub.url)
    with pytest.raises(HubError, match="user name"), LegacyHub(hub.url, "nobody", "ds_x") as legacy:
        legacy.ping()


def test_an_unknown_certificate_is_named_and_what_to_do(hub):
    with pytest.raises(HubUnavailable, match=r"certificate of the hub at .* is not trusted here .*--ca FILE"):
        version(hub.url)


def test_login_keeps_the_certificate_of_a_hub(hub, files, tmp_path):
    result = CliRunner().invoke(main, ["login", hub.url, "--token", "--ca", str(files.certificate)], input=hub.admin)
    assert result.exit_code == 0, result.output
    assert version(hub.url)
    (tmp_path / "nothing.pem").write_text("no certificate")
    refused = CliRunner().invoke(main, ["login", hub.url, "--token", "--ca", str(tmp_path / "nothing.pem")])
    assert "cannot be used as certificates" in refused.output


def test_another_hubs_certificate_is_not_trusted_for_this_one(hub, files):
    keep_certificate("https://other.example.org", files.certificate)
    with pytest.raises(HubUnavailable, match="not trusted"):
        version(hub.url)


def test_a_certificate_file_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigError, match=r"REQUESTS_CA_BUNDLE names .*gone\.pem"):
        version("https://hub.example.org")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_gone_through(monkeypatch, name):
    asked = []

    def answer(request):
        asked.append(request.path)
        return Answer(200, {"version": "1.2.3"})

    with serve(answer) as proxy:
        monkeypatch.setenv(name, proxy)
        assert version("http://hub.example.org") == "1.2.3"
    assert asked == ["http://hub.example.org/api/v1/version"]


def test_no_proxy_for_hubs_here_and_those_that_are_excepted(hub, files, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.certificate))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert version(hub.url)
    with pytest.raises(HubUnavailable, match="through the proxy"):
        version("https://hub.example.org")
    monkeypatch.setenv("NO_PROXY", "example.org")
    with pytest.raises(HubUnavailable, match="is it running"):
        version("https://hub.example.org")


def test_a_netrc_entry_replaces_no_token(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login mallory password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    seen = []

    def answer(request):
        seen.append(request.headers.get("Authorization"))
        return Answer(401, {"type": "/problems/unauthenticated", "detail": "no"})

    with serve(answer) as url, pytest.raises(Unauthenticated), HubClient(url, "ds_token") as client:
        client.version()
    assert seen == ["Bearer ds_token"]

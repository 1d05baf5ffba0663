"""Tokens are private to the user, survive other tokens being saved, and are never read from a file others can read."""

from __future__ import annotations

import stat
import threading

import pytest

from dotscience.client import credentials
from dotscience.errors import ConfigError


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_token_is_found_by_hub_and_project():
    credentials.save("http://HUB:8800/", "p1", "secret")
    assert credentials.load("http://hub:8800", "p1") == "secret"
    assert credentials.load("http://hub:8800", "p2") is None
    assert credentials.load("http://other:8800", "p1") is None


def test_the_file_is_private(config):
    credentials.save("http://hub", "p", "secret")
    assert stat.S_IMODE((config / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_is_refused_without_showing_it(config):
    credentials.save("http://hub", "p", "secret")
    (config / "credentials.json").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        credentials.load("http://hub", "p")
    assert "secret" not in str(caught.value)


def test_a_damaged_file_is_a_clear_error(config):
    credentials.save("http://hub", "p", "secret")
    (config / "credentials.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="damaged"):
        credentials.load("http://hub", "p")


def test_tokens_saved_at_the_same_time_are_all_kept():
    savers = [threading.Thread(target=credentials.save, args=("http://hub", f"p{i}", f"t{i}")) for i in range(16)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    assert [credentials.load("http://hub", f"p{i}") for i in range(16)] == [f"t{i}" for i in range(16)]

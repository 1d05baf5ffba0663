"""The locks name packages and hashes only: no registry, whichever one they were resolved with."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_python_locks_have_hashes_and_no_registry(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    assert text.count("--hash=sha256:") > 50


def test_the_npm_lock_has_no_registry():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    resolved = {package["resolved"] for package in packages.values() if "resolved" in package}
    assert {"labextension", "hub_server/dashboard"} == resolved
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text()


def test_every_package_has_the_project_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in ("package.json", "labextension/package.json", "hub_server/dashboard/package.json"):
        assert json.loads((ROOT / name).read_text())["version"] == version

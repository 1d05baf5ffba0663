"""The page about the original's API names all that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_server.content.archive import MAX_ENTRIES
from hub_server.content.paths import MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES
from hub_server.legacy.api import OPERATIONS
from hub_server.legacy.files import MAX_KEYS
from hub_server.legacy.rpc import MAX_CALL_BYTES, MAX_RUN_BYTES, METHODS
from hub_server.services.arrivals import MAX_UPLOAD_BYTES
from hub_server.services.dot_locks import WAIT_S

DOCS = (Path(__file__).parents[3] / "docs" / "legacy.md").read_text("utf-8")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_requests_are_documented(operation):
    if operation.path.startswith("/v2/dotmesh/s3"):
        assert f"`{operation.method}" in DOCS
    else:
        path = operation.path.replace("{model}", "{id}")
        assert f"`{operation.method} {path}`" in DOCS


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_documented_with_their_scopes(name):
    (line,) = [line for line in DOCS.splitlines() if line.startswith("| ") and f"`{name}`" in line.partition(" | ")[0]]
    scope = METHODS[name].scope
    assert f"| `{scope}` |" in line or (scope == "signed-in" and "| any token |" in line)


def test_limits_are_documented():
    for number in (MAX_ENTRIES, MAX_KEYS, MAX_PATH_BYTES, MAX_NAME_BYTES, MAX_DEPTH):
        assert f"{number:,}" in DOCS
    for size in (f"{MAX_CALL_BYTES // 2**20} MiB", f"{MAX_RUN_BYTES // 2**20} MiB", f"{MAX_UPLOAD_BYTES // 2**30} GiB"):
        assert size in DOCS
    assert f"{WAIT_S:.0f} seconds" in DOCS

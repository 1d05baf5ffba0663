"""Calls of dotmesh's JSON-RPC on `/v2`: which there are, and what is refused."""

from __future__ import annotations

import json

import pytest
from support.legacy_client import OWNER, call


def test_calls_without_parameters(legacy):
    assert legacy.result("Ping") == "pong"
    assert legacy.result("Version")["InstalledVersion"]
    assert legacy.result("CurrentUser")["Name"] == legacy.result("AuthenticatedUser", {})["Name"] == OWNER


@pytest.mark.parametrize(
    "method", ["DotmeshRPC.Rollback", "DotmeshRPC.", "Ping", "DotmeshRPC.ping", "DotmeshRPC.__class__"]
)
def test_another_method_is_named(legacy, method):
    answer = legacy.request("POST", "/v2/dotmesh/rpc", json={"jsonrpc": "2.0", "method": method, "id": "a"})
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["error"]["code"]) == ("a", -32601)
    assert method in answer.json()["error"]["message"]


@pytest.mark.parametrize("params", [None, [], {}, "x", 3, {"Namespace": 1, "Name": "x"}, [{"Namespace": "a"}]])
def test_parameters_that_do_not_fit(legacy, params):
    assert legacy.rpc("Lookup", params)["error"]["code"] == -32602


@pytest.mark.parametrize("metadata", [["a"], {"a": 1}, {"a": {"b": "c"}}, "x"])
def test_metadata_that_is_no_map_of_strings(workspace, metadata):
    assert workspace.commit(metadata)["error"]["code"] == -32602


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"method": "' + b"x" * 300 + b'"}',
        b"\xff\xfe",
        b'{"method": "\\ud800"}',
        b'{"method": "a", "id": {}}',
    ],
)
def test_calls_that_are_none(legacy, body):
    answer = legacy.request("POST", "/v2/dotmesh/rpc", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_call_that_is_too_large(legacy):
    body = json.dumps(call("Commit", {"Metadata": {"a": "x" * 17 * 2**20}})).encode()
    answer = legacy.request("POST", "/v2/dotmesh/rpc", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_metadata_that_are_too_large(workspace):
    error = workspace.commit({"a": "x" * 4 * 2**20})["error"]
    assert error["data"]["status"] == 413
    assert workspace.api("")["head"] is None

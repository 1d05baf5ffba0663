"""The registry: nothing is undeclared, nothing is undocumented."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dotscience.errors import ConfigError
from hub_server.domain.problems import PROBLEM_TYPES
from hub_server.domain.scopes import ANONYMOUS, SCOPES
from hub_server.services.events import EVENT_TYPES, MAX_QUEUED, EventBus
from hub_server.web.openapi import openapi_operation
from hub_server.web.operation import Reply, check, operation
from hub_server.web.operations import ALL

DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
OPERATIONS = [*ALL, openapi_operation(ALL, "1")]


async def documented(_hub, _call):
    """A function."""
    return Reply()


async def undocumented(_hub, _call):
    return Reply()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_operations_are_documented(operation):
    assert f"`{operation.method} {operation.path}`" in DOCS


@pytest.mark.parametrize("name", [*PROBLEM_TYPES, *EVENT_TYPES, *SCOPES])
def test_problems_events_and_scopes_are_documented(name):
    assert f"| `{name}` |" in DOCS


def test_only_these_operations_are_open_to_everybody():
    assert {one.name for one in OPERATIONS if one.scope == ANONYMOUS} == {"health", "ready", "version", "sign_in"}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"scope": ""}, "scope"),
        ({"scope": "runs:raed"}, "runs:raed"),
        ({"scope": "runs:read", "method": "TRACE"}, "TRACE"),
        ({"scope": "runs:read", "path": "/api/{unknown}"}, "unknown"),
        ({"scope": "runs:read", "problems": ("nope",)}, "nope"),
        ({"scope": "runs:read", "run": undocumented}, "docstring"),
    ],
)
def test_an_incomplete_declaration_stops_the_hub(declared, said):
    declared = {"method": "GET", "path": "/api/x", "run": documented, **declared}
    run = declared.pop("run")
    with pytest.raises(ConfigError, match=said):
        check([operation(declared.pop("method"), declared.pop("path"), **declared)(run)])


def test_a_declaration_without_a_scope_is_no_declaration():
    with pytest.raises(TypeError, match="scope"):
        operation("GET", "/api/x")


def test_two_operations_cannot_share_a_path_and_method():
    one = operation("GET", "/api/x", scope="runs:read")(documented)
    with pytest.raises(ConfigError, match="twice"):
        check([one, one])


def test_a_slow_listener_is_told_to_read_everything_again():
    async def work():
        bus = EventBus()
        listener = bus.open()
        bus.subscribe(listener, ["projects"])
        for number in range(MAX_QUEUED + 10):
            bus.publish("projects", "project.created", str(number))
        heard = [(await listener.next()).type for _ in range(MAX_QUEUED + 1)]
        assert heard == ["subscribed", *["project.created"] * (MAX_QUEUED - 1), "resync"]
        bus.publish("projects", "project.created", "later")
        assert (await listener.next()).id == "later"
        bus.close(listener)

    asyncio.run(work())

"""The log: one event per line, and nothing secret in it."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from hub_server.logs import configure_logging


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def configured():
    """Log as a hub does, and put everything back."""
    root = logging.getLogger()
    handlers, level, settings = root.handlers[:], root.level, structlog.get_config()
    root.handlers.clear()  # else `force` would close those of pytest
    yield configure_logging
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**settings)


def fail():
    token = "ds_0123456789abcdef_" + "secret"
    raise ValueError(f"no {len(token)}")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_a_traceback_does_not_show_the_values_of_variables(configured, stream):
    configured(stream)
    try:
        fail()
    except ValueError as error:
        structlog.get_logger().error("request.failed", exc_info=error)
        logging.getLogger("other").exception("failed")
    written = stream.getvalue()
    assert written.count("no 26") >= 2
    assert "_secret" not in written


def test_events_are_lines_of_json(configured):
    stream = io.StringIO()
    configured(stream)
    structlog.get_logger().info("hub.started", url="u\nu")
    logging.getLogger("other").warning("odd")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["url"], first["level"]) == ("hub.started", "u\nu", "info")
    assert (second["event"], second["level"]) == ("odd", "warning")

"""Components as child processes: ports, readiness, and an end in every case."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from dotscience.cli.processes import free_port, rotate, start, stop, wait_until
from dotscience.errors import ConfigError, DotscienceError


def component(tmp_path, code, **environment):
    return start("the thing", [sys.executable, "-c", code], log=tmp_path / "log" / "thing.log", environment=environment)


def test_the_preferred_port_is_taken_when_it_is_free():
    port = free_port(0)
    assert free_port(port) == port


def test_the_next_free_port_follows_a_taken_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if port < 65535:
            assert port < free_port(port) <= port + 100


def test_no_free_port_names_the_range(monkeypatch):
    def refuse(self, address):
        raise OSError("in use")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigError, match="8800 to 8899"):
        free_port(8800)


def test_a_component_that_fails_shows_the_end_of_its_log(tmp_path):
    failing = component(tmp_path, "print('could not bind'); raise SystemExit(3)")
    with pytest.raises(DotscienceError, match=r"status 3[^§]*could not bind"):
        wait_until(failing, lambda: None, timeout_s=30)


def test_a_long_log_begins_anew_and_its_writer_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("dotscience.cli.processes.MAX_LOG_BYTES", 100)
    go = tmp_path / "go"
    os.mkfifo(go)
    writer = component(tmp_path, f"print('a' * 200, flush=True); open({str(go)!r}).read(); print('b', flush=True)")
    with go.open("w"):  # which waits until the first line is written
        rotate(writer.log)
    writer.process.wait()
    assert (writer.log.read_text(), writer.log.with_name("thing.log.1").read_text()) == ("b\n", f"{'a' * 200}\n")
    rotate(writer.log)
    assert writer.log.read_text() == "b\n"


def test_a_component_that_is_never_ready_is_given_up(tmp_path):
    slow = component(tmp_path, "input()" if False else "import signal; signal.pause()")
    try:
        with pytest.raises(DotscienceError, match="not ready within"):
            wait_until(slow, lambda: None, timeout_s=0.2)
    finally:
        stop(slow)
    assert not slow.alive


def test_stopping_asks_first_and_is_idempotent(tmp_path):
    polite = component(
        tmp_path,
        "import signal, sys; signal.signal(15, lambda *a: sys.exit(5)); print('ready', flush=True); signal.pause()",
    )
    wait_until(polite, lambda: "ready" in polite.log.read_text() or None, timeout_s=30)
    stop(polite)
    stop(polite)
    assert polite.process.returncode == 5


def test_a_component_that_will_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("dotscience.cli.processes.STOP_TIMEOUT_S", 0.2)
    stubborn = component(
        tmp_path, "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    )
    wait_until(stubborn, lambda: "ready" in stubborn.log.read_text() or None, timeout_s=30)
    stop(stubborn)
    assert stubborn.process.returncode == -signal.SIGKILL


def test_a_child_is_out_of_reach_of_the_terminals_interrupt(tmp_path):
    child = component(tmp_path, "import os; print(os.getsid(0), flush=True); import signal; signal.pause()")
    try:
        session = wait_until(child, lambda: child.log.read_text().strip() or None, timeout_s=30)
        assert int(session) != os.getsid(0)
    finally:
        stop(child)

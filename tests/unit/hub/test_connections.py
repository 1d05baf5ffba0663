"""Connections that say nothing keep nobody out, and none for long. A real server on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hub_server import connections
from hub_server.connections import LimitedServer, connections_for


class Answer(RequestHandler):
    def get(self):
        self.write("here")


class Slow(RequestHandler):
    started: asyncio.Queue

    async def get(self):
        self.started.put_nowait(None)
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(most):
    server = LimitedServer(Application([("/", Answer), ("/slow", Slow)], log_function=lambda _: None))
    server.limit(most)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    opened = []

    async def connect(data=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", sockets[0].getsockname()[1])
        opened.append(writer)
        writer.write(data)
        await writer.drain()
        return reader

    try:
        yield connect
    finally:
        for writer in opened:
            writer.close()
        server.stop()
        await server.close_all_connections()


REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def test_half_open_requests_give_way_to_whole_ones():
    async def attack():
        async with serving(20) as connect:
            for _ in range(60):
                await connect(b"GET / HTTP/1.1\r\nHost: he")
            for _ in range(3):
                reader = await connect(REQUEST)
                assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"here"), 10)

    asyncio.run(attack())


def test_a_request_head_has_its_time(monkeypatch):
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.05)

    async def dawdle():
        async with serving(20) as connect:
            silent, begun = await connect(), await connect(b"GET / HTTP/1.1\r\n")
            assert await asyncio.wait_for(silent.read(), 10) == b""
            assert await asyncio.wait_for(begun.read(), 10) == b""

    asyncio.run(dawdle())


def test_a_connection_that_has_asked_may_wait(monkeypatch):
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.05)

    async def ask_twice():
        async with serving(20) as connect:
            reader = await connect(REQUEST)
            await asyncio.wait_for(reader.readuntil(b"here"), 10)
            silent = await connect()
            await asyncio.wait_for(silent.read(), 10)  # its time is over, and that of the first connection's head, too
            assert not reader.at_eof()

    asyncio.run(ask_twice())


def test_connections_that_are_idle_give_way():
    async def crowd():
        async with serving(8) as connect:
            for _ in range(30):
                reader = await connect(REQUEST)
                assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"here"), 10)

    asyncio.run(crowd())


def test_a_request_that_runs_gives_way_to_none():
    async def crowd():
        Slow.started = asyncio.Queue()
        async with serving(8) as connect:
            running = [await connect(REQUEST.replace(b"GET /", b"GET /slow")) for _ in range(6)]
            for _ in running:
                await asyncio.wait_for(Slow.started.get(), 10)
            refused = await connect(REQUEST)  # three quarters are taken: one address cannot have all
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(refused.read(), 10) == b""
            assert not any(reader.at_eof() for reader in running)

    asyncio.run(crowd())


@pytest.mark.parametrize(("files", "kept"), [(1024, 768), (100, 64), (1_048_576, 10_000)])
def test_connections_leave_files_for_the_rest(files, kept):
    assert connections_for(files) == kept

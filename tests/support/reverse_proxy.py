"""A small reverse proxy that speaks for others, as nginx does in front of a hub: HTTP, and WebSockets as bytes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class _Proxy:
    def __init__(self, target: str, headers: dict[str, str], strip: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._headers = headers
        self._strip = strip

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection: its head is changed, everything else passes."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        peer = writer.get_extra_info("peername")[0]
        there, back = await asyncio.open_connection(*self._target)
        try:
            back.write(self._changed(head.decode("latin-1"), peer).encode("latin-1"))
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            back.close()
            writer.close()

    def _changed(self, head: str, peer: str) -> str:
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, path, version = first.split(" ")
        sent = dict(line.split(": ", 1) for line in lines)
        own = {name: value.format(host=sent["Host"], peer=peer) for name, value in self._headers.items()}
        chain = ", ".join(filter(None, [sent.get("X-Forwarded-For"), peer]))
        is_socket = "Upgrade" in sent
        changed = sent | {"X-Forwarded-For": chain} | own | ({} if is_socket else {"Connection": "close"})
        lines = [f"{name}: {value}" for name, value in changed.items()]
        return "\r\n".join([f"{method} {path.removeprefix(self._strip) or '/'} {version}", *lines, "", ""])


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(2**16):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()


@contextmanager
def reverse_proxy(target: str, *, strip: str = "", **headers: str) -> Iterator[str]:
    """The URL of a proxy in front of `target`, for as long as the block.

    It appends to `X-Forwarded-For`, takes the prefix `strip` off paths, and sends `headers` (`_` for `-`), in which
    `{host}` stands for the host that was asked for.
    """
    proxy = _Proxy(target, {name.replace("_", "-"): value for name, value in headers.items()}, strip)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    server = on_loop(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        on_loop(_end_all(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_all(server: asyncio.Server) -> None:
    """What is still passing on is cut off. A server is closed on its loop: connections that end tell it, too."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(2):  # turns of the loop, in which transports close that were told to
        await asyncio.sleep(0)

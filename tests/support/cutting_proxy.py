"""A proxy that cuts connections off after so many bytes, as networks do."""

from __future__ import annotations

import itertools
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PIECE = 2**16
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: close(2) then resets the connection, and neither end may take it for finished (socket(7))."""


class Cut:
    """What a connection may carry before it is cut, in bytes; None for everything."""

    def __init__(self, *, requests: int | None = None, answers: int | None = None) -> None:
        self.requests = requests
        self.answers = answers


@contextmanager
def cutting_proxy(port: int, cut: Callable[[int], Cut]) -> Iterator[str]:
    """The address of a proxy to a server on loopback; `cut` is asked about each connection by its number, from 1."""
    listener = socket.create_server(("127.0.0.1", 0))
    carried: list[tuple[threading.Thread, socket.socket]] = []

    def accept() -> None:
        for number in itertools.count(1):
            try:
                client, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=_carry, args=(client, port, cut(number)))
            carried.append((thread, client))
            thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        _end(listener)
        accepting.join()
        for thread, client in carried:
            _end(client)
            thread.join()
        listener.close()


def _end(waiting: socket.socket) -> None:
    """Wake up whoever waits for this socket, which close(2) does not."""
    with suppress(OSError):  # it may be over already
        waiting.shutdown(socket.SHUT_RDWR)


def _carry(client: socket.socket, port: int, cut: Cut) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server, selectors.DefaultSelector() as selector:
        left = {client: cut.requests, server: cut.answers}
        ends = {client: server, server: client}
        for one in ends:
            selector.register(one, selectors.EVENT_READ)
        with suppress(ConnectionError):
            while ready := selector.select():
                for key, _ in ready:
                    if not _pass_on(key.fileobj, ends[key.fileobj], left):
                        return


def _pass_on(source: socket.socket, drain: socket.socket, left: dict[socket.socket, int | None]) -> bool:
    """Carry one piece; whether the connection goes on after it."""
    allowed = left[source]
    data = source.recv(PIECE)
    drain.sendall(data if allowed is None else data[:allowed])
    if not data:
        return False
    if allowed is None:
        return True
    left[source] = allowed - len(data)
    if left[source] > 0:
        return True
    for end in left:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return False

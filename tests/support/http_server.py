"""A real HTTP server on loopback that answers what a test says."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """One request, as it came."""

    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self):
        return f"{self.method} {self.path}"


class Answer(NamedTuple):
    """What to answer; a `body` that is not bytes is sent as JSON."""

    status: int
    body: object = b""
    headers: dict = {}  # noqa: RUF012 - nobody changes it


@contextmanager
def serve(answer, *, refuse_unread=lambda method, path: None):
    """The address of a server that answers what `answer` makes of each request.

    An answer that `refuse_unread` gives is sent before the body was read, and the connection is closed on it.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            refusal = refuse_unread(self.command, self.path)
            if refusal is not None:
                self.close_connection = True
            body = b"" if refusal else self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, content, headers = refusal or answer(Asked(self.command, self.path, dict(self.headers), body))
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names that BaseHTTPRequestHandler calls

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""What an issuer of tokens answers: its metadata, its keys, and what it thinks of a token."""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from fastapi_baseline._extras import optional

with optional("httpx2", extra="testing"):
    import httpx2

Answer = Callable[[httpx2.Request], httpx2.Response]
"""What answers a request to one path of an issuer."""

OPENID_PATH = "/.well-known/openid-configuration"
OAUTH_PATH = "/.well-known/oauth-authorization-server"
JWKS_PATH = "/jwks"
INTROSPECTION_PATH = "/introspect"

# A socket needs no name of a header that says how long the connection lasts.
_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


class IssuerEndpoints:
    """Answers by path. Put another into `answers` to have the issuer misbehave."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers: dict[str, Answer] = dict(answers)
        """What answers each path."""
        self.requests: list[str] = []
        """The paths that were asked for, in order."""

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request; a path that nothing answers is 404."""
        path = request.url.path
        self.requests.append(path)
        answer = self.answers.get(path)
        return httpx2.Response(404) if answer is None else answer(request)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return self.requests.count(path)

    @contextmanager
    def listening(self, server: ThreadingHTTPServer) -> Generator[None]:
        """Answer what comes over a socket, in threads, until the block is left."""
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def make_server(find: Callable[[], IssuerEndpoints]) -> ThreadingHTTPServer:
    """Return a server on a free port of loopback, which asks `find` who answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name for it
            """Say nothing: the output of a test is for the test."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = f"http://{self.headers.get('Host', 'localhost')}{self.path}"
            request = httpx2.Request(
                self.command, url, headers=dict(self.headers.items()), content=body
            )
            response = find().handle(request)
            content = response.read()
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            # Else a connection that stays open is answered after the block, too.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def read_form(request: httpx2.Request) -> dict[str, str]:
    """Return the fields of a form, the first of each name."""
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}

"""Something that takes spans by OTLP over HTTP and counts the batches, in a process of its own."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def collector(*, core: int) -> Generator[str]:
    """Give the address that a service is configured with, and run on the core of the load.

    A real one is on another machine: it takes nothing from the service.
    """
    command = (sys.executable, "-m", "benchmarks._http.collector")
    with subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,  # A line for each request.
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.sched_setaffinity(process.pid, {core})
        try:
            if process.stdout is None:
                raise RuntimeError("the collector has no output")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def batches(address: str) -> int:
    """Return how many batches of spans have arrived."""
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - an address of this machine
        return int(answer.read())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self) -> None:
        """Take a batch."""
        self.rfile.read(int(self.headers["Content-Length"]))
        _Handler.count += 1
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Say how many there were."""
        self._answer(str(_Handler.count).encode(), "text/plain")

    def _answer(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()

"""What these probes share: ASGI by hand, sockets, and servers in processes of their own."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp, Message, Scope

_STARTS_WITHIN = 10.0


@dataclass(slots=True)
class Answer:
    """What an application sent for one request."""

    messages: list[Message] = field(default_factory=list)

    @property
    def starts(self) -> Sequence[Message]:
        """Return the beginnings of responses: there should be one."""
        return [sent for sent in self.messages if sent["type"].endswith("response.start")]

    @property
    def status(self) -> int | None:
        """Return the status of the first response."""
        return self.starts[0]["status"] if self.starts else None

    def header(self, name: str) -> str | None:
        """Return a header of the first response."""
        for start in self.starts[:1]:
            for key, value in start["headers"]:
                if key.decode("latin-1").lower() == name:
                    return value.decode("latin-1")
        return None

    @property
    def body(self) -> bytes:
        """Return what was sent of the body."""
        return b"".join(sent.get("body", b"") for sent in self.messages if "body" in sent)


def scope_of(
    path: str = "/",
    *,
    kind: str = "http",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> Scope:
    """Return the scope of a request, as a server makes it."""
    pairs = {"host": "peer", **(headers or {})}
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
        "client": ("203.0.113.9", 50000),
        "server": ("peer", 80),
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    if kind == "websocket":
        return {**scope, "subprotocols": []}
    return {**scope, "method": method}


async def ask(app: ASGIApp, scope: Scope, *, seconds: float = 5.0) -> Answer:
    """Send a request to an application; what it raises is left to the server, and forgotten."""
    answer = Answer()
    inbox = [
        {"type": "websocket.connect"}
        if scope["type"] == "websocket"
        else {"type": "http.request", "body": b"", "more_body": False}
    ]

    async def receive() -> Message:
        if inbox:
            return inbox.pop()
        return await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        answer.messages.append(message)

    with contextlib.suppress(Exception):
        async with asyncio.timeout(seconds):
            await app(scope, receive, send)
    return answer


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(
    program: str, *options: str, environment: Mapping[str, str] | None = None
) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    """Run a program's `app` under uvicorn in a process of its own; give it and its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder, "program.py").write_text(program, encoding="utf-8")
        command = (sys.executable, "-m", "uvicorn", "program:app", "--port", str(port), *options)
        process = subprocess.Popen(
            command,
            cwd=folder,
            # The environment of whoever runs the probes, as any process would get it.
            env={**os.environ, **(environment or {})},  # noqa: TID251 - a child's
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield process, port
        finally:
            process.kill()
            process.wait()


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = _STARTS_WITHIN) -> bool:
    """Ask again and again until something holds; return whether it did in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if await holds():
                    return True
                await asyncio.sleep(0.05)
    return False


def series(text: str, *, contains: str = "") -> list[str]:
    """Return the lines of a scrape that are series, without their values."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line.rpartition(" ")[0] for line in lines if contains in line]

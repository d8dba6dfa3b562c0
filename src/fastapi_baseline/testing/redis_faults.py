"""A TCP proxy in front of Redis that does to its replies what networks and servers do."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 65536
_DEFAULT_PORT = 6379


class FaultProxy:
    """Passes on what is said, until it is told to do something else.

    What it is told holds for connections that are open and those to come, until `heal`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._delay_s = 0.0
        self._error: bytes | None = None
        self._replies_until_cut: int | None = None
        self._is_refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any] | None] = set()
        self.connections = 0
        """How many have been opened so far."""
        self.connected = asyncio.Event()
        """Set as soon as there has been one."""

    def slow_down(self, delay: timedelta) -> None:
        """Hold each part of a reply back for `delay`."""
        self._delay_s = delay.total_seconds()

    def reply_with_error(self, error: str) -> None:
        """Answer everything with `error` (`"OOM command not allowed"`); Redis hears nothing."""
        self._error = f"-{error}\r\n".encode()

    def cut_replies(self, *, after: int = 0) -> None:
        """Send half of a reply, once `after` others have passed, and close the connection."""
        self._replies_until_cut = after

    def swallow(self) -> None:
        """Take connections and commands, and let nothing through either way."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Close new connections at once, as a server does that has too many."""
        self._is_refusing = True

    def drop_connections(self) -> None:
        """Close all connections; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    def heal(self) -> None:
        """Pass on what is said again, also what was held back."""
        self._delay_s = 0.0
        self._error = None
        self._replies_until_cut = None
        self._is_refusing = False
        self._flowing.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.connected.set()
        if self._is_refusing:
            writer.close()
            return
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            upstream = await asyncio.open_connection(self._host, self._port)
            with contextlib.closing(upstream[1]):
                await self._relay(reader, writer, upstream)
        except (OSError, asyncio.CancelledError):
            pass  # Either side has gone, or the test is over.
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        directions = [
            asyncio.ensure_future(self._pass_commands(reader, upstream[1], writer)),
            asyncio.ensure_future(self._pass_replies(upstream[0], writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _pass_commands(
        self, reader: asyncio.StreamReader, redis: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._flowing.wait()
            if self._error is None:
                redis.write(data)
            else:
                # Those of one write are answered once each.
                back.write(self._error * max(1, data.count(b"\r\n*") + data.startswith(b"*")))

    async def _pass_replies(
        self, redis: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await redis.read(_CHUNK):
            await self._flowing.wait()
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if self._replies_until_cut is not None:
                self._replies_until_cut -= 1
                if self._replies_until_cut < 0:
                    writer.write(data[: len(data) // 2])
                    return
            writer.write(data)

    async def close(self) -> None:
        """End all connections."""
        tasks = [task for task in self._tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def fault_proxy(url: str) -> AsyncGenerator[tuple[FaultProxy, str]]:
    """Give a proxy in front of the Redis at `url`, and the URL to reach Redis through it."""
    parts = urlsplit(url)
    proxy = FaultProxy(parts.hostname or "localhost", parts.port or _DEFAULT_PORT)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    credentials, _, _ = parts.netloc.rpartition("@")
    place = f"{credentials}@127.0.0.1:{port}" if credentials else f"127.0.0.1:{port}"
    try:
        yield proxy, urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
    finally:
        server.close()
        await proxy.close()

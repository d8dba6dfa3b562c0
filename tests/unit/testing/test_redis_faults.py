import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.testing import FaultProxy, fault_proxy

ECHO = b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n"
REPLY = b"$5\r\nhello\r\n"
AUTH = b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n"


class Line:
    """A connection through the proxy, on which nothing is understood."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.proxy = proxy
        self.reader = reader
        self.writer = writer

    async def ask(self, command: bytes) -> bytes:
        self.writer.write(command)
        async with asyncio.timeout(5):
            return await self.reader.read(1000)

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(0.05):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def line(redis_url: str) -> AsyncGenerator[Line]:
    password = redis_url.partition("@")[0].rpartition(":")[2].encode()
    async with fault_proxy(redis_url) as (proxy, url):
        port = int(url.rpartition("@")[2].partition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = Line(proxy, reader, writer)
        await line.ask(AUTH % (len(password), password))
        yield line
        writer.close()


async def test_passes_on_what_is_said(line: Line) -> None:
    assert await line.ask(ECHO) == REPLY


async def test_holds_replies_back(line: Line) -> None:
    line.proxy.slow_down(timedelta(milliseconds=200))
    line.writer.write(ECHO)

    was_silent = await line.is_silent()

    assert was_silent
    assert await line.reader.read(1000) == REPLY


async def test_answers_each_command_with_an_error(line: Line) -> None:
    line.proxy.reply_with_error("OOM no room")

    assert await line.ask(ECHO * 2) == b"-OOM no room\r\n" * 2


async def test_cuts_a_reply_in_the_middle(line: Line) -> None:
    line.proxy.cut_replies(after=1)

    whole = await line.ask(ECHO)
    half = await line.ask(ECHO)

    assert (whole, half) == (REPLY, REPLY[:5])
    assert await line.reader.read() == b""


async def test_swallows_what_is_said_until_it_heals(line: Line) -> None:
    line.proxy.swallow()
    line.writer.write(ECHO)
    was_silent = await line.is_silent()

    line.proxy.heal()

    assert was_silent
    assert await line.reader.read(1000) == REPLY


async def test_drops_connections(line: Line) -> None:
    line.proxy.drop_connections()

    assert await line.reader.read() == b""


async def test_refuses_new_connections(line: Line) -> None:
    line.proxy.refuse()
    place: Any = line.writer.get_extra_info("peername")

    reader, writer = await asyncio.open_connection(*place)

    assert await reader.read() == b""
    writer.close()

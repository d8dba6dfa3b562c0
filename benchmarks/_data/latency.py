"""A slower way to a server on this machine: a proxy in a process of its own.

What the client sends is held back, so each round trip takes that much longer; the answer passes at
once. Timers of event loops count in whole milliseconds, so half of it either way would not do.
"""

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

_CHUNK_BYTES = 2**18


@contextmanager
def slowed(port: int, *, milliseconds: float) -> Generator[int]:
    """Give a port that leads to another one on this machine, more slowly."""
    command = (sys.executable, "-m", "benchmarks._data.latency", str(port), str(milliseconds))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the proxy has no output")
            yield int(process.stdout.readline())
        finally:
            process.terminate()


async def _serve(port: int, seconds: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK_BYTES)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass(reader, back, seconds))
            group.create_task(_pass(there, writer, 0))

    server = await asyncio.start_server(connect, "127.0.0.1", limit=_CHUNK_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            if seconds:
                loop.call_later(seconds, writer.write, chunk)
            else:
                writer.write(chunk)
                await writer.drain()
    except OSError:
        pass  # One of the two has hung up.
    loop.call_later(seconds, writer.close)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))

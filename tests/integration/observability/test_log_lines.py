import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, HTTPError

from fastapi_baseline.testing import ServerProcess, uvicorn_server
from fastapi_baseline.testing.server import free_port

HERE = Path(__file__).parent
GUARDED = (sys.executable, "-m", "fastapi_baseline.testing.guarded")
Eventually = Callable[[Callable[[], object]], Any]


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def messages(lines: list[dict[str, Any]]) -> Counter[str]:
    return Counter(line["msg"] for line in lines)


@contextmanager
def serving(*arguments: str, **env: str) -> Generator[tuple[ServerProcess, Client]]:
    with (
        uvicorn_server("logged:app", cwd=HERE, arguments=arguments, env=env) as server,
        Client(base_url=server.base_url, timeout=60) as client,
    ):
        yield server, client


def ask(client: Client, path: str, *, times: int) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.get, [path] * times))
    assert {answer.status_code for answer in answers} == {200}


def test_every_line_is_there_after_sigterm() -> None:
    with serving() as (server, client):
        ask(client, "/write?lines=20", times=100)
        server.terminate()
        lines = parsed(server.stdout)

    found = messages(lines)
    assert found["GET /write 200"] == 100
    assert found["Line 19"] == 100
    assert found["Starting"] == found["Stopping 0"] == found["Stopping 4999"] == 1
    # The last words of the server come when the queue has gone.
    assert lines[-1]["msg"].startswith("Finished server process")
    assert server.stderr == []


def test_a_copy_of_the_process_writes_its_own_lines_and_no_others() -> None:
    with serving() as (server, client):
        answer = client.get("/fork")
        server.terminate()
        found = messages(parsed(server.stdout))

    assert answer.json() == 7
    assert found["Before the copy"] == found["In the copy"] == found["In the original"] == 1


class Watched:
    """A service whose output is read by nobody, until somebody does."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self.port = free_port()
        self.client = Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.process = subprocess.Popen(
            (*GUARDED, "uvicorn", "logged:app", "--port", str(self.port), *arguments),
            cwd=HERE,
            env={**os.environ, **env},  # noqa: TID251 -- handed on
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def is_alive(self) -> bool:
        try:
            return self.client.get("/livez").status_code == 200
        except HTTPError:
            return False

    def stop_reading(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()

    def end(self) -> tuple[list[str], list[str]]:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        out: bytes = b""
        if self.process.stdout is not None and not self.process.stdout.closed:
            out = self.process.stdout.read()
        errors = self.process.stderr.read()
        self.process.wait(30)
        return out.decode().splitlines(), errors.decode().splitlines()


@contextmanager
def watching(*arguments: str, eventually: Eventually, **env: str) -> Generator[Watched]:
    watched = Watched(*arguments, env=env)
    try:
        eventually(watched.is_alive)
        yield watched
    finally:
        watched.client.close()
        watched.process.kill()
        watched.process.communicate()


@pytest.fixture
def watched(eventually: Eventually) -> Iterator[Watched]:
    with watching(eventually=eventually, LOG__QUEUE_SIZE="200") as watched:
        yield watched


def test_lines_of_several_processes_stay_whole_in_a_full_pipe(eventually: Eventually) -> None:
    with watching("--workers", "3", eventually=eventually) as watched:
        ask(watched.client, "/write?lines=200&length=500", times=30)
        lines = parsed(watched.end()[0])

    assert messages(lines)["GET /write 200"] == 30
    assert messages(lines)["Line 199"] == 30


def test_a_reader_that_has_gone_does_not_stop_the_service(watched: Watched) -> None:
    watched.stop_reading()

    ask(watched.client, "/write?lines=10", times=50)
    lost = watched.client.get("/write?lines=0").json()
    _, errors = watched.end()

    assert lost > 0
    assert errors == []
    assert watched.process.returncode == -signal.SIGTERM


def test_a_reader_that_stands_still_does_not_stop_the_service(watched: Watched) -> None:
    # More than a pipe and the queue hold.
    ask(watched.client, "/write?lines=100&length=1000", times=20)
    lost_by_then = watched.client.get("/write?lines=0").json()
    lines = parsed(watched.end()[0])

    lost = sum(line["lost"] for line in lines if line["msg"] == "Log lines were lost")
    written = [line for line in lines if line["msg"].startswith(("GET /write", "Line ", "Stop"))]
    assert lost_by_then > 1000
    # The server's own lines may be among the lost ones.
    assert 0 <= len(written) + lost - (20 * 100 + 21 + 5000) < 10
    # A part of the queue is kept for what is important, and the end of it is there.
    assert lines[-1]["msg"].startswith("Finished server process")


def test_workers_take_over_a_level_from_each_other(tmp_path: Path, eventually: Eventually) -> None:
    with serving("--workers", "2", LOG__LEVELS_FILE=str(tmp_path / "levels.json")) as (server, _):

        def asked() -> dict[int, bool]:
            """Ask on connections of their own, so that more than one worker answers."""
            found: dict[int, bool] = {}
            for _ in range(20):
                with Client(base_url=server.base_url) as client:
                    answer = client.get("/shop").json()
                found[answer["pid"]] = answer["debug"]
            return found

        before = eventually(lambda: found if len(found := asked()) == 2 else None)
        with Client(base_url=server.base_url) as client:
            changed = client.put("/loggers/logged.shop", json={"level": "DEBUG", "duration": 60})
        after = eventually(
            lambda: found if len(found := asked()) == 2 and all(found.values()) else None
        )

    assert changed.status_code == 200
    assert set(before.values()) == {False}
    assert after.keys() == before.keys()


REQUEST_LINES = (
    b"GET /%0a%7b%22level%22:%22ERROR%22%7d HTTP/1.1",
    b"GET /%1b%5b31m%e2%80%a8%ff%00%ed%a0%80 HTTP/1.1",
    b"GET /eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. HTTP/1.1",
    b"GET /\xe2\x80\xa8\xc3\xbc HTTP/1.1",
    b"F%0aOO /x HTTP/1.1",
    b"QUERY /x?%0a HTTP/1.1",
)


def test_any_bytes_in_a_request_are_one_line() -> None:
    with serving() as (server, _):
        for request_line in REQUEST_LINES:
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
                while connection.recv(65_536):
                    pass
        server.terminate()
        lines = server.stdout

    assert all(line.isascii() and line.isprintable() for line in lines)
    assert "eyJ" not in "".join(lines)
    assert {line["level"] for line in parsed(lines)} <= {"INFO", "WARNING"}
    # Some are refused by the server itself.
    assert sum(line["logger"] == "fastapi_baseline.access" for line in parsed(lines)) >= 3

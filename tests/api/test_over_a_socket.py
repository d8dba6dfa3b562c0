import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from fastapi_baseline.testing import ServerProcess, uvicorn_server

OUR_ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with uvicorn_server("served:app", cwd=Path(__file__).parent) as server:
        yield server


def _ask(server: ServerProcess, *lines: bytes) -> tuple[int, dict[str, str]]:
    """Send a request as it stands, and return the status and the headers of the answer."""
    request = b"\r\n".join([b"GET /livez HTTP/1.1", b"Host: test", *lines, b"Connection: close"])
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    status, *headers = answer.partition("\r\n\r\n")[0].split("\r\n")
    return int(status.split()[1]), {
        name.lower(): value for name, _, value in (line.partition(": ") for line in headers)
    }


@pytest.mark.parametrize(
    "offered",
    [
        b"a" * 10_240,
        "abcdefghé".encode(),
        b"abcdefgh\xff\xfe",
        b"abcdefgh\tforged",
        b"short",
        b"",
    ],
)
def test_replaces_an_identifier_that_is_not_plain(offered: bytes, server: ServerProcess) -> None:
    status, headers = _ask(server, b"X-Request-ID: " + offered)

    assert status == 200
    assert OUR_ID.fullmatch(headers["x-request-id"])


@pytest.mark.parametrize("offered", [b"abcdefgh\r\n forged", b"abcdefgh\nforged: 1"])
def test_never_sends_an_identifier_with_a_line_break_back(
    offered: bytes, server: ServerProcess
) -> None:
    _, headers = _ask(server, b"X-Request-ID: " + offered)

    # The server may refuse such a header itself, before the application is asked.
    assert "forged" not in str(headers)
    assert OUR_ID.fullmatch(headers.get("x-request-id", "0" * 32))


def test_keeps_an_identifier_that_is_plain(server: ServerProcess) -> None:
    _, headers = _ask(server, b"X-Request-ID: order-2026.11_21")

    assert headers["x-request-id"] == "order-2026.11_21"


def test_keeps_all_headers_on_a_500_and_logs_it_once(server: ServerProcess) -> None:
    answer = httpx2.get(
        f"{server.base_url}/crash",
        headers={"Origin": "https://a.example", "X-Request-ID": "crash-once"},
    )

    line = server.wait_for_line("fastapi_baseline.access", "crash-once")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "crash-once"
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(line)["status"] == 500
    tracebacks = [line for line in server.stdout if "Traceback" in line]
    assert len([line for line in tracebacks if "crash-once" in line]) == 1
    assert server.stderr == []


def test_lets_the_client_see_that_a_response_is_cut_short(server: ServerProcess) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server.base_url}/half")


def test_closes_a_websocket_that_crashes_as_the_standard_says(server: ServerProcess) -> None:
    with connect(f"{server.base_url.replace('http', 'ws')}/echo") as conversation:
        conversation.send("crash")
        with pytest.raises(ConnectionClosedError) as caught:
            conversation.recv(timeout=5)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


def test_identifies_a_websocket(server: ServerProcess) -> None:
    with connect(f"{server.base_url.replace('http', 'ws')}/echo") as conversation:
        conversation.send("hello")

        assert conversation.recv(timeout=5) == "hello"
        assert conversation.response is not None
        assert OUR_ID.fullmatch(conversation.response.headers["X-Request-ID"])

import json
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fastapi_baseline.testing import ServerProcess, uvicorn_server

LIMIT = 100_000
PROBLEM = "application/problem+json"
FORWARDED = {"X-Forwarded-For": "1.1.1.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
READERS = ["/bytes", "/included/bytes", "/mounted/bytes", "/installed/bytes"]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with uvicorn_server(
        "edge:app", cwd=Path(__file__).parent, arguments=["--no-proxy-headers", "--no-access-log"]
    ) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.base_url, timeout=10) as client:
        yield client


def _parts(size: int) -> Generator[bytes]:
    for _ in range(size // 1_000):
        yield b"1" * 1_000


def _assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", READERS)
def test_refuses_a_body_by_its_announced_length(path: str, client: httpx2.Client) -> None:
    answer = client.post(path, content=b"1" * (LIMIT + 1))

    _assert_problem(answer, 413, "content_too_large")


@pytest.mark.parametrize("path", READERS)
def test_refuses_a_body_while_it_arrives(path: str, client: httpx2.Client) -> None:
    answer = client.post(path, content=_parts(LIMIT + 1_000))

    _assert_problem(answer, 413, "content_too_large")


@pytest.mark.parametrize("path", [*READERS, "/roomy"])
def test_takes_a_body_that_is_small_enough(path: str, client: httpx2.Client) -> None:
    answer = client.post(path, content=b"1" * LIMIT)

    assert answer.json() == LIMIT


def test_lets_a_route_take_more(client: httpx2.Client) -> None:
    more = client.post("/roomy", content=_parts(10 * LIMIT))
    too_much = client.post("/roomy", content=_parts(10 * LIMIT + 1_000))

    assert more.json() == 10 * LIMIT
    _assert_problem(too_much, 413, "content_too_large")


def test_does_not_ask_for_a_body_that_it_will_refuse(server: ServerProcess) -> None:
    head = (
        b"POST /bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_gives_up_what_takes_too_long(client: httpx2.Client) -> None:
    answer = client.get("/hang")

    _assert_problem(answer, 504, "deadline_exceeded")
    assert "hang" in client.get("/ended").json()


def test_does_not_cut_a_stream_off(client: httpx2.Client) -> None:
    assert client.get("/stream").text == "ab"


def test_gives_a_route_the_time_that_it_asks_for(client: httpx2.Client) -> None:
    assert client.get("/patient").json() == "done"


def test_gives_an_upload_the_time_that_its_route_asks_for(server: ServerProcess) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--x--\r\n'
    head = (
        f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
        httpx2.Client(base_url=server.base_url) as other,
    ):
        connection.sendall(head.encode() + body[:20])
        # The default deadline passes in the meantime.
        assert other.get("/hang").status_code == 504
        connection.sendall(body[20:])
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"5")


def test_refuses_the_request_that_is_one_too_many(server: ServerProcess) -> None:
    def ask(_: int) -> httpx2.Response:
        return httpx2.get(f"{server.base_url}/wait", timeout=30)

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, number) for number in range(6)]
        refused = next(as_completed(asked)).result()
        # A request would be refused as well; WebSockets are not counted.
        with connect(f"{server.base_url.replace('http', 'ws')}/release"):
            answers = [future.result() for future in asked]

    _assert_problem(refused, 503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503]


def test_believes_the_proxy_about_the_client(client: httpx2.Client) -> None:
    headers = {**FORWARDED, "Host": "shop.example", "X-Forwarded-User": "ann"}

    answer = client.get("/client", headers=headers)

    assert answer.json() == ["203.0.113.7", "https://shop.example/client", "ann"]


def test_logs_the_client_and_not_the_proxy(client: httpx2.Client, server: ServerProcess) -> None:
    client.get("/client", headers={**FORWARDED, "X-Request-ID": "who-was-it"})

    line = server.wait_for_line("fastapi_baseline.access", "who-was-it")
    assert json.loads(line)["client"] == "203.0.113.7"


def test_believes_the_proxy_about_a_websocket(server: ServerProcess) -> None:
    url = f"{server.base_url.replace('http', 'ws')}/client"

    with connect(url, additional_headers=FORWARDED) as conversation:
        seen = json.loads(conversation.recv(timeout=5))

    assert seen == ["203.0.113.7", f"wss://127.0.0.1:{server.port}/client"]


def test_refuses_a_host_that_is_not_its_own(client: httpx2.Client) -> None:
    answer = client.get("/client", headers={"Host": "evil.example"})

    _assert_problem(answer, 400, "untrusted_host")


def test_answers_probes_under_any_name(client: httpx2.Client) -> None:
    assert client.get("/livez", headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_refuses_a_websocket_for_a_host_that_is_not_its_own(server: ServerProcess) -> None:
    url = f"ws://evil.example:{server.port}/client"

    with pytest.raises(InvalidStatus) as caught:
        connect(url, sock=socket.create_connection(("127.0.0.1", server.port)))

    response = caught.value.response
    assert response.status_code == 400
    assert response.headers["content-type"] == PROBLEM
    assert json.loads(response.body)["request_id"] == response.headers["x-request-id"]


def test_takes_clients_that_leave_for_no_error(server: ServerProcess) -> None:
    ws_url = f"{server.base_url.replace('http', 'ws')}/client"

    with connect(ws_url, additional_headers={"X-Request-ID": "ws-that-left"}) as conversation:
        conversation.recv(timeout=5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(
            b"POST /bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: post-that-left\r\n"
            b"Content-Length: 1000\r\n\r\nhalf"
        )

    server.wait_for_line("fastapi_baseline.access", "post-that-left")
    lines = [json.loads(line) for line in server.stdout]
    ours = [line for line in lines if line.get("request_id") in {"ws-that-left", "post-that-left"}]
    assert [line for line in ours if line["level"] in {"ERROR", "CRITICAL"}] == []
    assert server.stderr == []

"""Defects that were found in libraries for repetition, health, deadlines and proxies; likewise.

`benchmarks/peers/http_defects` shows each of them where it is.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.idempotency import Idempotent
from fastapi_baseline.settings import HealthSettings, RequestSettings
from fastapi_baseline.testing import running

PROXY, STRANGER, CLIENT = "192.0.2.1", "203.0.113.9", "198.51.100.7"


class Orders:
    """Routes that may be repeated, and how often they have run."""

    def __init__(self, app: FastAPI) -> None:
        self.ran: list[str] = []
        self.app = app
        once = [Depends(Idempotent())]
        app.post("/orders", dependencies=once)(self.order)
        app.post("/refunds", dependencies=once)(self.refund)
        app.post("/answers/{status}", dependencies=once)(self.answer)
        app.post("/crashes", dependencies=once)(self.crash)

    async def order(self, request: Request) -> dict[str, str | None]:
        self.ran.append("order")
        return {"for": request.headers.get("authorization")}

    async def refund(self) -> str:
        self.ran.append("refund")
        return "refunded"

    async def answer(self, status: int) -> Response:
        self.ran.append("answer")
        return JSONResponse({}, status_code=status)

    async def crash(self) -> None:
        self.ran.append("crash")
        raise RuntimeError("unexpected")


@pytest.fixture
def orders() -> Orders:
    return Orders(create_app(Settings(environment="test"), configure_logging=False))


@pytest.fixture
async def client(orders: Orders) -> AsyncGenerator[AsyncClient]:
    async with running(orders.app) as client:
        client.headers.update({"idempotency-key": "k-1", "authorization": "Bearer alice"})
        yield client


async def test_of_requests_with_one_key_at_once_one_runs(
    orders: Orders, client: AsyncClient
) -> None:
    answers = await asyncio.gather(*(client.post("/orders") for _ in range(20)))

    assert orders.ran == ["order"]
    assert {answer.status_code for answer in answers} <= {200, 409}


async def test_a_key_answers_only_who_sent_it_first(orders: Orders, client: AsyncClient) -> None:
    await client.post("/orders")

    answer = await client.post("/orders", headers={"authorization": "Bearer bob"})

    assert answer.json() == {"for": "Bearer bob"}
    assert len(orders.ran) == 2


async def test_a_key_with_another_body_is_refused(orders: Orders, client: AsyncClient) -> None:
    await client.post("/orders", json={"amount": 1})

    answer = await client.post("/orders", json={"amount": 2})

    assert answer.status_code == 422
    assert len(orders.ran) == 1


async def test_a_key_on_another_route_does_not_get_the_first_answer(
    orders: Orders, client: AsyncClient
) -> None:
    await client.post("/orders")

    answer = await client.post("/refunds")

    assert "for" not in answer.text
    assert answer.status_code == 422 or orders.ran == ["order", "refund"]


@pytest.mark.parametrize("status", [429, 503])
async def test_refusals_that_pass_are_not_kept(
    status: int, orders: Orders, client: AsyncClient
) -> None:
    for _ in range(2):
        await client.post(f"/answers/{status}")

    assert orders.ran == ["answer", "answer"]


async def test_a_key_is_free_after_a_crash(orders: Orders, client: AsyncClient) -> None:
    statuses = [(await client.post("/crashes")).status_code for _ in range(2)]

    assert statuses == [500, 500]
    assert orders.ran == ["crash", "crash"]


class Check:
    """A check that counts its runs, and may hang."""

    name = "database"

    def __init__(self, *, hangs: bool = False) -> None:
        self.runs = 0
        self._hangs = hangs

    async def check(self) -> None:
        self.runs += 1
        if self._hangs:
            await asyncio.get_running_loop().create_future()


async def test_a_storm_of_probes_does_not_reach_the_check() -> None:
    check = Check()
    app = create_app(Settings(environment="test"), checks=[check], configure_logging=False)

    async with running(app) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(100)))

    assert {answer.status_code for answer in answers} == {200}
    assert check.runs == 1


async def test_a_check_that_hangs_does_not_keep_a_probe_waiting() -> None:
    health = HealthSettings(timeout=timedelta(milliseconds=50))
    settings = Settings(environment="test", health=health)
    app = create_app(settings, checks=[Check(hangs=True)], configure_logging=False)

    async with running(app) as client:
        async with asyncio.timeout(5):
            answer = await client.get("/readyz")

    assert answer.status_code == 503


async def test_a_stream_that_began_in_time_goes_on() -> None:
    requests = RequestSettings(timeout=timedelta(milliseconds=50))
    settings = Settings(environment="test", requests=requests)
    app = create_app(settings, configure_logging=False)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"
            await asyncio.sleep(0.04)

    @app.get("/stream")
    async def stream() -> Response:
        return StreamingResponse(parts())

    async with running(app) as client:
        answer = await client.get("/stream")

    assert answer.text == "part" * 3


def _reporting(trusted: str) -> FastAPI:
    """Return an application that tells what it knows about who asks."""
    settings = Settings(environment="test", trusted_proxies=(trusted,))
    app = create_app(settings, configure_logging=False)

    @app.get("/who")
    async def tell(request: Request) -> dict[str, str | None]:
        return {
            "client": request.client.host if request.client else None,
            "forwarded": request.headers.get("x-forwarded-for"),
            "real": request.headers.get("x-real-ip"),
        }

    return app


async def _told(app: FastAPI, peer: str, **headers: str) -> dict[str, str | None]:
    transport = ASGITransport(app=app, client=(peer, 50_000))
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.get("/who", headers=sent)).json()


async def test_the_client_is_the_rightmost_that_is_not_trusted() -> None:
    told = await _told(_reporting(PROXY), PROXY, x_forwarded_for=f"10.0.0.1, {CLIENT}")

    assert told["client"] == CLIENT


async def test_headers_of_proxies_are_taken_from_strangers() -> None:
    sent = {"x_forwarded_for": "10.0.0.1", "x_real_ip": "10.0.0.1"}

    told = await _told(_reporting(PROXY), STRANGER, **sent)

    assert told == {"client": STRANGER, "forwarded": None, "real": None}

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Response
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline.errors import (
    ConflictError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from fastapi_baseline.idempotency import (
    IdempotencyCaptureMiddleware,
    IdempotencyStore,
    Idempotent,
)
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers

KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
ERRORS = {
    404: NotFoundError(),
    409: ConflictError(),
    429: TooManyRequestsError(),
    503: UnavailableError(),
}


def get_user(x_user: Annotated[str, Header()] = "ann") -> str:
    return x_user


class Bank:
    """Carries out payments, which may wait for `go_on`."""

    def __init__(self) -> None:
        self.payments = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    def make_app(self) -> FastAPI:
        handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
        app = FastAPI(
            exception_handlers=handlers, dependencies=[Depends(Idempotent(caller=get_user))]
        )

        @app.post("/payments", status_code=201)
        async def pay(response: Response, body: dict[str, int]) -> dict[str, int]:
            self.payments += 1
            response.headers["Location"] = f"/payments/{self.payments}"
            return {"number": self.payments}

        @app.post("/slow")
        async def pay_slowly() -> int:
            self.payments += 1
            self.begun.set()
            await self.go_on.wait()
            return self.payments

        @app.post("/errors/{status}")
        async def fail(status: int) -> None:
            self.payments += 1
            raise ERRORS[status]

        @app.post("/stream")
        async def stream() -> StreamingResponse:
            self.payments += 1

            async def parts() -> AsyncIterator[bytes]:
                yield b"number "
                yield str(self.payments).encode()

            return StreamingResponse(parts(), media_type="text/plain")

        return app


@asynccontextmanager
async def client_of(bank: Bank, store: IdempotencyStore) -> AsyncGenerator[AsyncClient]:
    app = IdempotencyCaptureMiddleware(bank.make_app(), store=store)
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://test", headers=KEY) as client:
        yield client


async def test_status_headers_and_body_are_those_of_the_first_time(
    store: IdempotencyStore,
) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        first = await client.post("/payments", json={"amount": 1})
        second = await client.post("/payments", json={"amount": 1})

    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers.pop("idempotency-replayed") == "true"
    assert second.headers == first.headers
    assert bank.payments == 1


async def test_a_stream_is_repeated_whole(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        answers = [await client.post("/stream") for _ in range(2)]

    assert [answer.text for answer in answers] == ["number 1", "number 1"]


async def test_of_twenty_at_once_one_is_carried_out(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/slow"))
        await bank.begun.wait()
        others = await asyncio.gather(*(client.post("/slow") for _ in range(19)))
        bank.go_on.set()
        answer = await first
        again = await client.post("/slow")

    assert bank.payments == 1
    assert Counter(other.json()["code"] for other in others) == {"request_in_flight": 19}
    assert {other.status_code for other in others} == {409}
    assert {other.headers["retry-after"] for other in others} == {"1"}
    assert (answer.text, again.text) == ("1", "1")


async def test_twenty_that_arrive_together_have_one_outcome(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        answers = await asyncio.gather(
            *(client.post("/payments", json={"amount": 1}) for _ in range(20))
        )

    first = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert bank.payments == 1
    assert sum(answer.status_code == 201 for answer in first) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


async def test_callers_do_not_see_each_others_answers(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        answers = [
            await client.post("/payments", json={"amount": 1}, headers={"X-User": user})
            for user in ("ann", "bob", "ann")
        ]

    assert [answer.json()["number"] for answer in answers] == [1, 2, 1]


async def test_errors_that_say_what_happened_are_repeated(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        answers = [await client.post(f"/errors/{status}") for status in (404, 404)]
        assert bank.payments == 1
        conflicts = [
            await client.post("/errors/409", headers={"Idempotency-Key": "other"}) for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert [conflict.json()["code"] for conflict in conflicts] == ["conflict", "conflict"]
    assert bank.payments == 2


async def test_errors_that_may_pass_are_not_repeated(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        for status in (429, 503):
            statuses = [(await client.post(f"/errors/{status}")).status_code for _ in range(2)]
            assert statuses == [status, status]

    assert bank.payments == 4


async def test_a_request_that_was_given_up_can_be_sent_again(store: IdempotencyStore) -> None:
    bank = Bank()
    async with client_of(bank, store) as client:
        given_up = asyncio.ensure_future(client.post("/slow"))
        await bank.begun.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        bank.go_on.set()

        answer = await client.post("/slow")

    assert (answer.status_code, answer.text) == (200, "2")

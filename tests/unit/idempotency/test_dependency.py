from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, UploadFile
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import ConfigurationError, UnauthenticatedError
from fastapi_baseline.idempotency import (
    IdempotencyCaptureMiddleware,
    IdempotencyKey,
    Idempotent,
    MemoryIdempotencyStore,
    OptionalIdempotencyKey,
    StoredResponse,
)
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers

KEY = {"Idempotency-Key": '"abc"'}


class Counter:
    """Counts how often something was done."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


class KnownRequests:
    """Gives each request the context that `current` is, as the layers outside do."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.current = RequestContext(request_id="x")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.current.fields = {}
        token = request_context.set(self.current)
        try:
            await self.app(scope, receive, send)
        finally:
            request_context.reset(token)


class Service:
    """An application with a counter, and a client for it."""

    def __init__(self) -> None:
        self.done = Counter()
        handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
        self.app = FastAPI(exception_handlers=handlers)
        layer = IdempotencyCaptureMiddleware(self.app, store=MemoryIdempotencyStore())
        self.around = KnownRequests(layer)
        transport = ASGITransport(app=self.around, raise_app_exceptions=False)
        self.client = AsyncClient(transport=transport, base_url="http://test")

    async def post(
        self, path: str = "/", *, headers: Mapping[str, str] = KEY, **options: Any
    ) -> Response:
        return await self.client.post(path, headers=headers, **options)


@pytest.fixture
def service() -> Service:
    return Service()


def outcome(response: Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("code")


def was_replayed(response: Response) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


async def test_repeats_the_answer_and_not_the_work(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())], status_code=201)
    async def work() -> int:
        return service.done()

    first = await service.post()
    second = await service.post()

    assert (first.status_code, first.text, was_replayed(first)) == (201, "1", False)
    assert (second.status_code, second.text, was_replayed(second)) == (201, "1", True)
    assert service.around.current.fields == {"idempotency": "replayed"}


async def test_refuses_a_request_without_a_key(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    response = await service.post(headers={})

    assert outcome(response) == (400, "idempotency_key_missing")
    assert service.done.count == 0


async def test_refuses_what_is_no_key(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    response = await service.post(headers={"Idempotency-Key": "a b"})

    assert outcome(response) == (400, "invalid_idempotency_key")
    assert service.done.count == 0


async def test_refuses_a_key_that_came_with_another_body(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work(body: dict[str, int]) -> int:
        return service.done()

    await service.post(json={"a": 1})
    response = await service.post(json={"a": 2})

    assert outcome(response) == (422, "idempotency_key_reused")
    assert service.done.count == 1


async def test_a_route_gets_the_key(service: Service) -> None:
    @service.app.post("/")
    async def work(key: IdempotencyKey) -> str:
        return key

    assert (await service.post()).json() == "abc"
    assert outcome(await service.post(headers={})) == (400, "idempotency_key_missing")


async def test_a_key_may_be_left_out_where_it_is_optional(service: Service) -> None:
    @service.app.post("/")
    async def work(key: OptionalIdempotencyKey) -> list[int | str | None]:
        return [key, service.done()]

    answers = [await service.post(headers=headers) for headers in ({}, {}, KEY, KEY)]

    assert [answer.json() for answer in answers] == [[None, 1], [None, 2], ["abc", 3], ["abc", 3]]


async def test_safe_methods_of_a_router_need_no_key(service: Service) -> None:
    router = APIRouter(dependencies=[Depends(Idempotent())])

    @router.get("/")
    async def show() -> int:
        return service.done()

    service.app.include_router(router)

    responses = [await service.client.get("/", headers=headers) for headers in ({}, KEY, KEY)]

    assert [response.json() for response in responses] == [1, 2, 3]


async def test_routes_have_keys_of_their_own(service: Service) -> None:
    for prefix in ("/a", "/b"):
        router = APIRouter(prefix=prefix, dependencies=[Depends(Idempotent())])

        @router.post("/work")
        async def work() -> int:
            return service.done()

        service.app.include_router(router)

    assert [(await service.post(path)).text for path in ("/a/work", "/b/work")] == ["1", "2"]


async def test_what_a_path_names_is_part_of_the_request(service: Service) -> None:
    @service.app.post("/accounts/{account}", dependencies=[Depends(Idempotent())])
    async def work(account: int) -> int:
        return service.done()

    await service.post("/accounts/1")

    assert outcome(await service.post("/accounts/2")) == (422, "idempotency_key_reused")
    assert outcome(await service.post("/accounts/1?again=1")) == (422, "idempotency_key_reused")


async def test_principals_have_keys_of_their_own(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    answers: list[str] = []
    for principal in ("ann", "bob", "ann"):
        service.around.current.principal = principal
        answers.append((await service.post()).text)

    assert answers == ["1", "2", "1"]


async def test_tenants_have_keys_of_their_own(service: Service) -> None:
    service.around.current.principal = "ann"

    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    answers: list[str] = []
    for tenant in ("north", "south", "north"):
        service.around.current.tenant = tenant
        answers.append((await service.post()).text)

    assert answers == ["1", "2", "1"]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-API-Key"])
async def test_callers_that_nobody_knows_are_told_apart_by_credentials(
    service: Service, name: str
) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    answers = [await service.post(headers={**KEY, name: who}) for who in ("ann", "bob", "ann")]

    assert [answer.text for answer in answers] == ["1", "2", "1"]


async def test_a_principal_keeps_its_keys_with_another_token(service: Service) -> None:
    service.around.current.principal = "ann"

    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    answers = [await service.post(headers={**KEY, "Authorization": t}) for t in ("old", "new")]

    assert [answer.text for answer in answers] == ["1", "1"]


def find_user(x_user: Annotated[str | None, Header()] = None) -> str:
    if x_user is None:
        raise UnauthenticatedError
    return x_user


async def test_a_caller_is_asked_who_it_is_before_anything_is_answered(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent(caller=find_user))])
    async def work() -> int:
        return service.done()

    users = ("ann", "bob", "ann")
    answers = [await service.post(headers={**KEY, "X-User": user}) for user in users]
    stranger = await service.post()

    assert [answer.text for answer in answers] == ["1", "2", "1"]
    assert outcome(stranger) == (401, "unauthenticated")


async def test_an_anonymous_caller_is_nobody_in_particular(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent(caller=lambda: None))])
    async def work() -> int:
        return service.done()

    assert [(await service.post()).text for _ in range(2)] == ["1", "1"]


async def test_refuses_a_principal_without_a_text(service: Service) -> None:
    service.around.current.principal = object()

    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    assert outcome(await service.post()) == (500, "internal_error")
    assert service.done.count == 0


async def test_a_router_and_its_route_claim_a_key_once(service: Service) -> None:
    router = APIRouter(dependencies=[Depends(Idempotent())])

    @router.post("/", dependencies=[Depends(Idempotent())])
    async def work(key: IdempotencyKey) -> int:
        return service.done()

    service.app.include_router(router)

    assert [(await service.post()).text for _ in range(2)] == ["1", "1"]


async def test_a_mounted_application_repeats_its_answers_too(service: Service) -> None:
    inner = FastAPI()

    @inner.post("/work", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    service.app.mount("/a", inner)
    service.app.mount("/b", inner)

    answers = [await service.post(path) for path in ("/a/work", "/b/work", "/a/work")]

    assert [answer.text for answer in answers] == ["1", "2", "1"]
    assert was_replayed(answers[2])


async def test_what_a_route_has_opened_is_left_when_an_answer_is_repeated(
    service: Service,
) -> None:
    events: list[str] = []

    @contextmanager
    def watched() -> Generator[None]:
        try:
            yield
        except BaseException:
            events.append("rolled back")
            raise
        events.append("committed")

    async def transaction() -> AsyncGenerator[None]:
        with watched():
            yield

    @service.app.post("/", dependencies=[Depends(transaction), Depends(Idempotent())])
    async def work() -> int:
        return service.done()

    await service.post()
    await service.post()

    assert events == ["committed", "rolled back"]


async def test_a_form_with_files_may_be_sent_again(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work(file: UploadFile) -> list[Any]:
        return [service.done(), (await file.read()).decode()]

    answers = [
        await service.post(files={"file": ("a.txt", content)}) for content in ("a", "a", "b")
    ]

    assert answers[0].json() == answers[1].json() == [1, "a"]
    assert outcome(answers[2]) == (422, "idempotency_key_reused")


async def test_a_route_that_fails_may_be_tried_again(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        if service.done() == 1:
            raise RuntimeError("broken")
        return service.done.count

    assert [(await service.post()).status_code for _ in range(2)] == [500, 200]


async def test_a_response_that_is_too_large_is_not_given_again(service: Service) -> None:
    @service.app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> str:
        service.done()
        return "x" * 1024 * 1024

    await service.post()

    assert outcome(await service.post()) == (409, "response_not_kept")
    assert service.done.count == 1


async def test_a_route_may_remember_for_another_time(service: Service) -> None:
    lifetimes: list[timedelta] = []

    class WatchedStore(MemoryIdempotencyStore):
        async def complete(
            self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
        ) -> bool:
            lifetimes.append(lifetime)
            return await super().complete(key, token=token, response=response, lifetime=lifetime)

    service.around.app = IdempotencyCaptureMiddleware(service.app, store=WatchedStore())

    @service.app.post("/", dependencies=[Depends(Idempotent(lifetime=timedelta(days=7)))])
    async def work() -> int:
        return service.done()

    await service.post()

    assert lifetimes == [timedelta(days=7)]


async def test_says_what_is_missing_around_the_application() -> None:
    app = FastAPI()

    @app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> None: ...

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        with pytest.raises(ConfigurationError, match="IdempotencyCaptureMiddleware"):
            await client.post("/", headers=KEY)

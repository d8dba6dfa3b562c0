from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from fastapi_baseline import Settings, UnauthenticatedError, context, create_app
from fastapi_baseline.auth import (
    Authentication,
    CurrentPrincipal,
    Principal,
    RequireScopes,
    require_recent_auth,
)
from fastapi_baseline.auth.errors import AmbiguousCredentialsError
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.testing import (
    ManualClock,
    acting_as,
    as_principal,
    as_service,
    as_user,
    running,
)


class Words:
    """An authenticator for tests: whoever says a name has it."""

    scheme_name = "words"
    challenge = "Words"

    @property
    def scheme(self) -> dict[str, Any]:
        return {"type": "http", "scheme": "words"}

    def is_offered(self, connection: HTTPConnection) -> bool:
        return "X-Word" in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer=SELF, subject=connection.headers["X-Word"], transport="api_key")


class Ways(Authentication):
    """What an application has, in few words."""

    async def authenticate(self, connection: HTTPConnection) -> Principal | None:
        offered = [way for way in self.authenticators if way.is_offered(connection)]
        return await offered[0].authenticate(connection) if offered else None


async def get_asker(connection: HTTPConnection) -> Principal:
    principal = await connection.app.state.authentication.authenticate(connection)
    if principal is None:
        raise UnauthenticatedError
    return principal


Asker = Annotated[Principal, Depends(get_asker)]


def make_app(*, clock: ManualClock | None = None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        app.state.starts = getattr(app.state, "starts", 0) + 1
        yield {"greeting": "hello"}

    app = FastAPI(lifespan=lifespan)
    app.state.authentication = Ways([Words()], clock=clock)

    @app.exception_handler(UnauthenticatedError)
    async def refuse(request: Request, error: Exception) -> Response:
        return Response(status_code=401)

    @app.exception_handler(AmbiguousCredentialsError)
    async def confuse(request: Request, error: Exception) -> Response:
        return Response(status_code=400)

    @app.get("/me")
    async def show(asker: Asker, request: Request) -> dict[str, Any]:
        return {
            "subject": asker.subject,
            "scopes": sorted(asker.scopes),
            "roles": sorted(asker.roles),
            "client_id": asker.client_id,
            "issuer": asker.issuer,
            "auth_time": None if asker.auth_time is None else asker.auth_time.timestamp(),
            "greeting": request.state.greeting,
        }

    @app.websocket("/ws")
    async def talk(socket: WebSocket, asker: Asker) -> None:
        await socket.accept()
        await socket.send_text(asker.subject)
        await socket.close()

    return app


async def subject_of(client: Any, **headers: str) -> str | int:
    answer = await client.get("/me", headers=headers)
    return answer.json()["subject"] if answer.status_code == 200 else answer.status_code


async def test_a_user_asks_without_any_credentials() -> None:
    clock = ManualClock()
    app = make_app(clock=clock)

    async with as_user(app, "ann", roles=["clerk"], scopes=["a", "b"]) as ann:
        answer = (await ann.get("/me")).json()

    assert answer == {
        "subject": "ann",
        "roles": ["clerk"],
        "scopes": ["a", "b"],
        "client_id": None,
        "issuer": SELF,
        "auth_time": clock.now().timestamp(),
        "greeting": "hello",
    }


async def test_a_user_may_have_proved_who_they_are_long_ago() -> None:
    clock = ManualClock()
    long_ago = clock.now() - timedelta(days=1)

    async with as_user(make_app(), "ann", auth_time=long_ago) as ann:
        answer = (await ann.get("/me")).json()

    assert answer["auth_time"] == long_ago.timestamp()


async def test_a_service_asks_for_itself() -> None:
    async with as_service(make_app(), "billing", scopes=["a"]) as billing:
        answer = (await billing.get("/me")).json()

    assert (answer["subject"], answer["client_id"]) == ("billing", "billing")
    assert answer["scopes"] == ["a"]
    assert answer["auth_time"] is None


async def test_clients_of_several_principals_do_not_mix() -> None:
    app = make_app()

    async with running(app) as nobody, as_user(app, "ann") as ann, as_user(app, "bob") as bob:
        subjects = [await subject_of(client) for client in (ann, bob, nobody, ann)]

    assert subjects == ["ann", "bob", 401, "ann"]


async def test_an_application_that_runs_is_not_started_again() -> None:
    app = make_app()

    async with running(app), as_user(app) as one, as_service(app) as other:
        await one.get("/me")
        await other.get("/me")

    assert app.state.starts == 1


async def test_an_application_that_does_not_run_is_started_for_the_block() -> None:
    app = make_app()

    async with as_user(app, "ann") as ann:
        first = await subject_of(ann)
    async with as_user(app, "bob") as bob:
        second = await subject_of(bob)

    assert (first, second) == ("ann", "bob")
    assert app.state.starts == 2


async def test_nothing_is_left_after_the_block() -> None:
    app = make_app()
    before = app.state.authentication

    with acting_as(app, Principal(issuer=SELF, subject="ann", transport="bearer")) as headers:
        during = app.state.authentication

    async with running(app) as client:
        assert await subject_of(client, **headers) == 401
    assert during is not before
    assert app.state.authentication is before


async def test_the_first_may_leave_before_the_last() -> None:
    app = make_app()
    before = app.state.authentication
    ann = Principal(issuer=SELF, subject="ann", transport="bearer")
    bob = Principal(issuer=SELF, subject="bob", transport="bearer")

    async with running(app) as client:
        first, last = acting_as(app, ann), acting_as(app, bob)
        one, other = first.__enter__(), last.__enter__()
        first.__exit__(None, None, None)
        gone, still = await subject_of(client, **one), await subject_of(client, **other)
        last.__exit__(None, None, None)

    assert (gone, still) == (401, "bob")
    assert app.state.authentication is before


async def test_other_applications_do_not_know_the_principal() -> None:
    here, there = make_app(), make_app()

    async with as_user(here, "ann") as ann, running(there) as client:
        assert await subject_of(client, **ann.headers) == 401


async def test_real_credentials_still_count_for_others() -> None:
    app = make_app()

    async with running(app) as client, as_user(app, "ann"):
        assert await subject_of(client, **{"X-Word": "cid"}) == "cid"


async def test_one_request_is_not_two_askers() -> None:
    app = make_app()

    async with as_user(app, "ann") as ann:
        assert await subject_of(ann, **{"X-Word": "cid"}) == 400


async def test_what_is_published_does_not_say_it() -> None:
    app = make_app()
    before = app.state.authentication.authenticators

    async with as_user(app):
        assert app.state.authentication.authenticators == before


async def test_an_application_without_authentication_gets_one_for_the_block() -> None:
    app = make_app()
    del app.state.authentication

    async with as_user(app, "ann") as ann:
        assert await subject_of(ann) == "ann"

    assert not hasattr(app.state, "authentication")


async def test_any_principal_may_ask() -> None:
    app = make_app()
    principal = Principal(issuer="https://id.example", subject="ann", transport="session")

    async with as_principal(app, principal) as client:
        answer = (await client.get("/me")).json()

    assert answer["issuer"] == "https://id.example"


async def test_who_has_to_prove_it_again_is_told_as_those_with_credentials_are() -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.state.authentication = Ways([Words()])
    recently = Depends(require_recent_auth(timedelta(minutes=5)))
    long_ago = ManualClock().now()

    @app.get("/guarded", dependencies=[recently])
    async def answer() -> None: ...

    async with (
        running(app) as client,
        as_user(app, auth_time=long_ago) as ann,
        as_user(app, auth_time=long_ago, transport="session") as bob,
    ):
        refusals = [
            await ann.get("/guarded"),
            await bob.get("/guarded"),
            await client.get("/guarded", headers={"X-Word": "cid"}),
        ]

    assert [refusal.status_code for refusal in refusals] == [401, 401, 401]
    assert [refusal.headers["WWW-Authenticate"].split()[0] for refusal in refusals] == [
        "Bearer",
        "Cookie",
        "Words",
    ]


async def test_who_may_do_it_is_let_in_by_the_guards_of_the_library() -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)

    @app.get("/guarded", dependencies=[Depends(RequireScopes(all=["a"]))])
    async def answer(asker: CurrentPrincipal) -> str:
        request = context.current()
        assert request is not None
        return f"{asker} {request.principal}"

    async with as_user(app, "ann", scopes=["a"]) as ann:
        answered = await ann.get("/guarded")

    assert answered.json() == "ann ann"


def test_clients_of_another_kind_are_given_headers() -> None:
    app = make_app()

    with (
        acting_as(app, Principal(issuer=SELF, subject="ann", transport="bearer")) as headers,
        TestClient(app, headers=dict(headers)) as client,
        client.websocket_connect("/ws") as socket,
    ):
        assert client.get("/me").json()["subject"] == "ann"
        assert socket.receive_text() == "ann"

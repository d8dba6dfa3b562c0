import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import Table, select
from starlette.types import Message, Scope
from starlette.websockets import WebSocket

from fastapi_baseline import ConfigurationError, Settings, create_app
from fastapi_baseline.auth import (
    CurrentPrincipal,
    Principal,
    RequireScopes,
    public,
    require_recent_auth,
)
from fastapi_baseline.auth.api_keys import ApiKey, ApiKeys, KeyOwner
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import ApiKeySettings, AuthSettings
from fastapi_baseline.testing import running

AUTH = AuthSettings(api_keys=ApiKeySettings(enabled=True, prefix="shop"))
CHALLENGE = 'ApiKey header="X-API-Key"'
Reader = Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))]


def add_routes(app: FastAPI) -> None:
    @app.get("/me")
    async def show(asker: CurrentPrincipal) -> list[str]:
        return [str(asker), asker.transport]

    @app.get("/orders")
    async def list_orders(asker: Reader) -> str:
        return asker.subject

    @app.post("/payments", dependencies=[Depends(require_recent_auth(timedelta(minutes=5)))])
    async def pay() -> None: ...

    @app.get("/prices")
    @public
    async def list_prices() -> int:
        return 1

    @app.websocket("/ws")
    async def talk(socket: WebSocket, asker: CurrentPrincipal) -> None:
        await socket.accept()
        await socket.send_text(asker.subject)
        await socket.close()


@pytest.fixture
def app(any_database_url: str) -> FastAPI:
    settings = Settings(environment="test", database_url=SecretStr(any_database_url), auth=AUTH)
    app = create_app(settings, configure_logging=False)
    add_routes(app)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        database: Database = app.state.database
        async with database.engine.begin() as connection:
            table: Table[Any] = ApiKey.metadata.tables[ApiKey.__tablename__]
            await connection.run_sync(table.create)
        yield client


async def issue(app: FastAPI, **more: Any) -> str:
    keys: ApiKeys = app.state.api_keys
    issued = await keys.issue("export", KeyOwner("exporter"), **more)
    return issued.secret.get_secret_value()


async def test_a_key_lets_a_program_in(app: FastAPI, client: AsyncClient) -> None:
    key = {"X-API-Key": await issue(app, scopes=["orders:read"])}

    me = await client.get("/me", headers=key)
    orders = await client.get("/orders", headers=key)

    assert me.json() == ["exporter", "api_key"]
    assert orders.json() == "exporter"


async def test_who_has_none_is_told_where_it_goes(client: AsyncClient) -> None:
    answer = await client.get("/me")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await client.get("/prices")).status_code == 200


async def test_j14_a_key_without_the_scope_is_refused(app: FastAPI, client: AsyncClient) -> None:
    for scopes in ((), ("orders:write",), ("orders:read:all",), ("ORDERS:READ",), ("orders",)):
        answer = await client.get("/orders", headers={"X-API-Key": await issue(app, scopes=scopes)})

        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_key_does_not_prove_that_somebody_is_there(
    app: FastAPI, client: AsyncClient
) -> None:
    answer = await client.post("/payments", headers={"X-API-Key": await issue(app)})

    assert answer.status_code == 401
    assert answer.json()["code"] == "insufficient_user_authentication"


async def test_a_wrong_key_is_refused_on_every_route_that_asks(client: AsyncClient) -> None:
    for path in ("/me", "/orders"):
        answer = await client.get(path, headers={"X-API-Key": "shop_1"})

        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
        assert answer.headers["WWW-Authenticate"] == f'{CHALLENGE}, error="invalid_key"'


async def test_j17_a_key_in_another_place_is_none(app: FastAPI, client: AsyncClient) -> None:
    key = await issue(app)

    answers = [
        await client.get("/me", params={"X-API-Key": key, "api_key": key}),
        await client.get("/me", headers={"Cookie": f"X-API-Key={key}"}),
        await client.get("/me", headers={"Authorization": f"ApiKey {key}"}),
        await client.get("/me", headers={"Authorization": f"Bearer {key}"}),
    ]

    # What is in `Authorization` is no key, and no other way of this application.
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401]


async def test_j18_two_keys_are_refused(app: FastAPI, client: AsyncClient) -> None:
    key = await issue(app)

    twice = await client.get("/me", headers=[("X-API-Key", key), ("X-API-Key", key)])
    both = await client.get("/me", headers={"X-API-Key": key, "Authorization": "Bearer a.b.c"})

    assert (twice.status_code, twice.json()["code"]) == (400, "repeated_api_key")
    assert (both.status_code, both.json()["code"]) == (400, "ambiguous_credentials")


async def test_garbage_is_no_fault_of_the_service(client: AsyncClient) -> None:
    for value in (b"", b"\xff\xfe", "ü".encode(), b"shop_" * 4000, b"' OR 1=1 --", b"%00"):
        answer = await client.get("/me", headers=[(b"X-API-Key", value)])

        assert answer.status_code == 401


async def open_socket(app: FastAPI, **headers: str) -> list[Message]:
    # A test client would have an event loop of its own, and connections belong to one.
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": "/ws",
        "raw_path": b"/ws",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), *encoded],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    return sent


async def test_a_socket_is_opened_with_a_key(app: FastAPI, client: AsyncClient) -> None:
    del client

    sent = await open_socket(app, x_api_key=await issue(app))

    assert [message["type"] for message in sent][:2] == ["websocket.accept", "websocket.send"]
    assert sent[1]["text"] == "exporter"


async def test_a_socket_is_refused_with_a_wrong_key(app: FastAPI, client: AsyncClient) -> None:
    del client

    sent = await open_socket(app, x_api_key="shop_1")

    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 401


async def test_openapi_says_where_it_goes(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    scheme = document["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
    assert document["paths"]["/me"]["get"]["security"] == [{"apiKey": []}]
    assert document["paths"]["/prices"]["get"]["security"] == []


async def test_its_last_use_is_written_before_the_service_ends(app: FastAPI) -> None:
    async with running(app) as client:
        database: Database = app.state.database
        async with database.engine.begin() as connection:
            table: Table[Any] = ApiKey.metadata.tables[ApiKey.__tablename__]
            await connection.run_sync(table.create)
        key = await issue(app)
        await client.get("/me", headers={"X-API-Key": key})

    async with database.read_transaction() as session:
        last = await session.scalar(select(ApiKey.last_used_at))
    await database.dispose()
    assert last is not None


async def test_no_key_is_in_the_log(
    app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = await issue(app)
    secret = key.split("_")[2]

    await client.get("/me", headers={"X-API-Key": key})
    wrong = await client.get("/me", headers={"X-API-Key": f"{key[:-1]}!"})

    assert caplog.records
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    # The statement that stores a key has its digest among its parameters, and nothing else of it.
    assert not [line for line in logged if secret in line]
    assert secret not in wrong.text


async def test_nobody_is_let_in_while_the_database_is_away() -> None:
    settings = Settings(
        environment="test",
        database_url=SecretStr("postgresql://a:b@127.0.0.1:1/nothing"),
        auth=AUTH,
    )
    app = create_app(settings, configure_logging=False)
    add_routes(app)

    async with running(app) as client:
        malformed = await client.get("/me", headers={"X-API-Key": "shop_1"})
        answer = await client.get("/me", headers={"X-API-Key": make_key("shop").text})

    assert malformed.status_code == 401
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


def test_keys_need_a_database() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        create_app(Settings(environment="test", auth=AUTH), configure_logging=False)

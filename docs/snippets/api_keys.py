"""Keys of programs: issued by a route, used, exchanged and revoked."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr

from fastapi_baseline import ForbiddenError, Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal, Principal, RequireScopes
from fastapi_baseline.auth.api_keys import ApiKey, CurrentApiKeys, KeyOwner
from fastapi_baseline.settings import ApiKeySettings, AuthSettings
from fastapi_baseline.testing import as_user, create_schema, running

# <start>
router = APIRouter(prefix="/keys")
MANAGE = "keys:manage"
Manager = Annotated[Principal, Depends(RequireScopes(all=[MANAGE]))]


class KeyIn(BaseModel):
    """What is asked for."""

    name: str
    scopes: set[str] = set()


class NewKey(BaseModel):
    """A key, shown this once."""

    id: str
    key: str


@router.post("", status_code=201)
async def issue_key(body: KeyIn, asker: Manager, keys: CurrentApiKeys) -> NewKey:
    """Give the asker a key that may do no more than the asker, and makes no further keys."""
    if not body.scopes <= asker.scopes - {MANAGE}:
        raise ForbiddenError
    issued = await keys.issue(
        body.name, KeyOwner.of(asker), scopes=body.scopes, lifetime=timedelta(days=90)
    )
    return NewKey(id=issued.record.id, key=issued.secret.get_secret_value())


# <end>


# <start-own>
class KeyOut(BaseModel):
    """What is known of a key."""

    id: str
    name: str
    scopes: list[str]
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        return cls.model_validate(key, from_attributes=True)


@router.get("")
async def list_keys(asker: Manager, keys: CurrentApiKeys) -> list[KeyOut]:
    """List the asker's keys."""
    return [KeyOut.of(key) for key in await keys.list_keys(KeyOwner.of(asker))]


@router.post("/{key_id}/rotation", status_code=201)
async def rotate_key(key_id: str, asker: Manager, keys: CurrentApiKeys) -> NewKey:
    """Exchange one of the asker's keys; the old one works for another day."""
    issued = await keys.rotate(key_id, owner=KeyOwner.of(asker), overlap=timedelta(days=1))
    return NewKey(id=issued.record.id, key=issued.secret.get_secret_value())


@router.delete("/{key_id}", status_code=204)
async def revoke_key(key_id: str, asker: Manager, keys: CurrentApiKeys) -> None:
    """End one of the asker's keys."""
    await keys.revoke(key_id, owner=KeyOwner.of(asker))


# <end-own>

orders = APIRouter()


# <start-use>
@orders.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])
async def list_orders(asker: CurrentPrincipal) -> str:
    """Say who is asking, and with what."""
    return f"orders for {asker.subject}, by {asker.transport}"


# <end-use>


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    url = SecretStr(f"sqlite:///{tmp_path / 'shop.db'}")
    # <start-settings>
    settings = Settings(
        environment="test",
        database_url=url,
        auth=AuthSettings(api_keys=ApiKeySettings(enabled=True, prefix="shop")),
    )
    # <end-settings>
    app = create_app(settings)
    app.include_router(router)
    app.include_router(orders)
    return app


@pytest.fixture
async def program(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        await create_schema(app)
        yield client


@pytest.fixture
async def ann(app: FastAPI, program: AsyncClient) -> AsyncIterator[AsyncClient]:
    del program
    async with as_user(app, "ann", scopes=[MANAGE, "orders:read"]) as client:
        yield client


async def send(program: AsyncClient, key: str) -> tuple[int, str]:
    answer = await program.get("/orders", headers={"X-API-Key": key})
    return answer.status_code, answer.json() if answer.is_success else answer.json()["code"]


async def test_a_key_does_what_it_was_issued_for(ann: AsyncClient, program: AsyncClient) -> None:
    body = {"name": "nightly export", "scopes": ["orders:read"]}
    issued = (await ann.post("/keys", json=body)).json()

    outcome = await send(program, issued["key"])

    assert issued["key"].startswith(f"shop_{issued['id']}_")
    assert outcome == (200, "orders for ann, by api_key")


async def test_a_key_does_nothing_else(ann: AsyncClient, program: AsyncClient) -> None:
    issued = (await ann.post("/keys", json={"name": "nothing"})).json()

    answer = await program.post(
        "/keys", json={"name": "more"}, headers={"X-API-Key": issued["key"]}
    )

    assert await send(program, issued["key"]) == (403, "insufficient_scope")
    assert answer.status_code == 403


async def test_nobody_gives_what_they_do_not_have(ann: AsyncClient) -> None:
    codes = [
        (await ann.post("/keys", json={"name": "more", "scopes": [scope]})).status_code
        for scope in ("orders:write", MANAGE)
    ]

    assert codes == [403, 403]


async def test_a_key_is_exchanged_and_ends(
    app: FastAPI, ann: AsyncClient, program: AsyncClient
) -> None:
    body = {"name": "nightly export", "scopes": ["orders:read"]}
    old = (await ann.post("/keys", json=body)).json()
    new = (await ann.post(f"/keys/{old['id']}/rotation")).json()
    both = [(await send(program, one["key"]))[0] for one in (old, new)]

    async with as_user(app, "bob", scopes=[MANAGE]) as bob:
        foreign = await bob.delete(f"/keys/{new['id']}")
    own = await ann.delete(f"/keys/{new['id']}")

    assert both == [200, 200]
    assert (foreign.status_code, foreign.json()["code"]) == (404, "api_key_not_found")
    assert own.status_code == 204
    assert await send(program, new["key"]) == (401, "invalid_api_key")
    assert [key["id"] for key in (await ann.get("/keys")).json()] == [old["id"]]

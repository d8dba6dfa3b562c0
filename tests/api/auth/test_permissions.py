from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy.orm import Mapped

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import (
    SELF,
    CurrentPrincipal,
    Permission,
    Principal,
    RowPermission,
    column_in,
    column_is,
    has_role,
    policy_for,
    rows_of,
)
from fastapi_baseline.persistence import (
    Authorship,
    Base,
    Database,
    Repository,
    Spec,
    Transaction,
    UUIDPrimaryKey,
)
from fastapi_baseline.testing import as_user, running
from tests.tables import create_tables


class Memo(Base, UUIDPrimaryKey, Authorship):
    __tablename__ = "permission_memo"

    text: Mapped[str]
    team: Mapped[str | None]
    is_final: Mapped[bool]


class MemoRepository(Repository[Memo]):
    pass


own = column_is(Memo.created_by, str)
in_team = column_in(Memo.team, lambda principal: principal.roles)
final = RowPermission[Memo](
    lambda _, memo: memo.is_final, rows=lambda _: Spec[Memo](Memo.is_final.is_(True))
)
may_read = own | in_team | has_role("admin")
may_change = own & ~final

EVERY_WAY: dict[str, Permission[Memo]] = {
    "own": own,
    "not own": ~own,
    "in team": in_team,
    "not in team": ~in_team,
    "final": final,
    "may read": may_read,
    "may not read": ~may_read,
    "may change": may_change,
    "nested": ~(own | ~final) & (in_team | ~has_role("admin")),
}


async def find_memos(session: Transaction, principal: CurrentPrincipal) -> MemoRepository:
    policy = policy_for(principal, read=may_read, update=may_change, delete=may_change)
    return MemoRepository(session).restricted(policy)


TheirMemos = Annotated[MemoRepository, Depends(find_memos)]


def add_routes(app: FastAPI) -> None:
    @app.post("/memos")
    async def add(
        text: str,
        session: Transaction,
        principal: CurrentPrincipal,
        *,
        team: str | None = None,
        is_final: bool = False,
    ) -> UUID:
        return (await MemoRepository(session).add(Memo(text=text, team=team, is_final=is_final))).id

    @app.get("/memos")
    async def show_all(memos: TheirMemos) -> list[str]:
        return sorted(memo.text for memo in await memos.list())

    @app.get("/memos/{memo_id}")
    async def show(memo_id: UUID, session: Transaction, principal: CurrentPrincipal) -> str:
        return may_read.require(principal, await MemoRepository(session).find(memo_id)).text

    @app.put("/memos/{memo_id}")
    async def change(
        memo_id: UUID, text: str, session: Transaction, principal: CurrentPrincipal
    ) -> str:
        memos = MemoRepository(session)
        memo = may_read.require(principal, await memos.find(memo_id))
        may_change.require(principal, memo, otherwise="forbidden")
        return (await memos.update(memo_id, {"text": text})).text

    @app.delete("/memos/{memo_id}")
    async def drop(memo_id: UUID, memos: TheirMemos) -> None:
        await memos.delete(memo_id)


@pytest.fixture
async def app(any_database_url: str) -> AsyncGenerator[FastAPI]:
    app = create_app(
        Settings(environment="test", database_url=SecretStr(any_database_url)),
        configure_logging=False,
    )
    add_routes(app)
    async with running(app):
        await create_tables(app.state.database, __name__)
        yield app


async def add(client: AsyncClient, text: str, **params: str) -> str:
    response = await client.post("/memos", params={"text": text, **params})
    assert response.status_code == 200
    number: str = response.json()
    return number


async def test_nobody_reads_what_is_somebody_elses(app: FastAPI) -> None:
    async with as_user(app, "ada") as ada, as_user(app, "eve") as eve:
        memo = await add(ada, "secret")
        own = await ada.get(f"/memos/{memo}")
        other = await eve.get(f"/memos/{memo}")
        absent = await eve.get("/memos/00000000-0000-7000-8000-000000000000")

    assert (own.status_code, own.json()) == (200, "secret")
    assert (other.status_code, absent.status_code) == (404, 404)
    for known in ("code", "detail", "title"):
        assert other.json()[known] == absent.json()[known]


async def test_the_same_subject_of_another_issuer_is_somebody_else(app: FastAPI) -> None:
    async with (
        as_user(app, "ada") as ada,
        as_user(app, "ada", issuer="https://other.example") as other,
    ):
        memo = await add(ada, "secret")
        response = await other.get(f"/memos/{memo}")

    assert response.status_code == 404


async def test_who_may_see_and_not_change_is_told_so(app: FastAPI) -> None:
    async with as_user(app, "ada") as ada, as_user(app, "bob", roles=["red"]) as bob:
        memo = await add(ada, "plan", team="red")
        final = await add(ada, "done", is_final="true")
        answers = [
            (await client.request(method, f"/memos/{which}", params={"text": "new"})).status_code
            for client, which in ((bob, memo), (ada, final), (ada, memo))
            for method in ("PUT", "DELETE")
        ]

    assert answers == [403, 403, 403, 403, 200, 200]


async def test_lists_show_what_each_may_read(app: FastAPI) -> None:
    async with (
        as_user(app, "ada") as ada,
        as_user(app, "bob", roles=["red"]) as bob,
        as_user(app, "eve", roles=["admin"]) as eve,
    ):
        await add(ada, "mine")
        await add(ada, "ours", team="red")
        await add(bob, "his")
        lists = [(await client.get("/memos")).json() for client in (ada, bob, eve)]

    assert lists == [["mine", "ours"], ["his", "ours"], ["his", "mine", "ours"]]


@pytest.mark.parametrize("name", EVERY_WAY)
async def test_rows_and_entities_agree_on_every_database(app: FastAPI, name: str) -> None:
    permission = EVERY_WAY[name]
    database: Database = app.state.database
    principals = [
        Principal(issuer=SELF, subject=subject, transport="session", roles=frozenset(roles))
        for subject in ("ada", "eve")
        for roles in ((), ("red",), ("admin", "blue"))
    ]
    async with database.transaction() as session:
        memos = MemoRepository(session)
        await memos.add_many(
            Memo(text=f"{team}{is_final}{by}", team=team, is_final=is_final, created_by=by)
            for team in (None, "red", "blue")
            for is_final in (True, False)
            for by in (None, "ada", "eve")
        )
        everything = await memos.list()
        for principal in principals:
            found = {memo.text for memo in await memos.list(rows_of(permission, principal))}

            assert found == {memo.text for memo in everything if permission.allows(principal, memo)}

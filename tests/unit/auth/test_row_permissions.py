from collections.abc import AsyncGenerator, Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth import (
    SELF,
    Permission,
    Principal,
    RowPermission,
    column_in,
    column_is,
    has_role,
    has_scope,
    policy_for,
    rows_of,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Spec, UUIDPrimaryKey


class Ticket(Base, UUIDPrimaryKey):
    __tablename__ = "row_permission_ticket"

    title: Mapped[str]
    author: Mapped[str | None]
    team: Mapped[str | None]
    is_open: Mapped[bool] = mapped_column(default=True)


def team_of(principal: Principal) -> str | None:
    return principal.client_id


own = column_is(Ticket.author, str)
in_team = column_is(Ticket.team, team_of)
in_role = column_in(Ticket.team, lambda principal: principal.roles)
is_open = RowPermission[Ticket](
    lambda _, ticket: ticket.is_open, rows=lambda _: Spec[Ticket](Ticket.is_open.is_(True))
)

PERMISSIONS: dict[str, Permission[Ticket]] = {
    "own": own,
    "not own": ~own,
    "in team": in_team,
    "not in team": ~in_team,
    "in role": in_role,
    "not in role": ~in_role,
    "open": is_open,
    "own or staff": own | has_role("staff"),
    "staff or own": has_role("staff") | own,
    "own and scope": own & has_scope("read"),
    "nested": ~(own | ~is_open) & (in_team | in_role),
    "everything": has_role("staff") | ~has_role("staff"),
    "nothing": has_role("staff") & ~has_role("staff"),
}
PRINCIPALS = {
    "ada": Principal(issuer=SELF, subject="ada", transport="session"),
    "staff": Principal(
        issuer=SELF, subject="eve", transport="session", roles=frozenset({"staff", "red"})
    ),
    "program": Principal(
        issuer="https://a.example",
        subject="p",
        client_id="red",
        transport="bearer",
        scopes=frozenset({"read"}),
    ),
}


@pytest.fixture
async def session() -> AsyncGenerator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Ticket.metadata.tables[Ticket.__tablename__].create)
    async with AsyncSession(engine) as session:
        session.add_all(
            Ticket(title=f"{author}/{team}/{is_open}", author=author, team=team, is_open=is_open)
            for author in ("ada", "https://a.example|p", "eve", None)
            for team in ("red", "staff", None)
            for is_open in (True, False)
        )
        await session.flush()
        yield session
    await engine.dispose()


async def titles(session: AsyncSession, permission: Permission[Ticket], who: Principal) -> set[str]:
    found = await session.scalars(select(Ticket).where(rows_of(permission, who)))
    return {ticket.title for ticket in found}


@pytest.mark.parametrize("who", PRINCIPALS)
@pytest.mark.parametrize("name", PERMISSIONS)
async def test_rows_are_those_whose_entities_are_allowed(
    session: AsyncSession, name: str, who: str
) -> None:
    permission, principal = PERMISSIONS[name], PRINCIPALS[who]
    tickets: Sequence[Ticket] = (await session.scalars(select(Ticket))).all()

    allowed = {one.title for one in tickets if permission.allows(principal, one)}

    assert await titles(session, permission, principal) == allowed


async def test_the_rows_of_a_user_are_their_own(session: AsyncSession) -> None:
    found = await titles(session, own, PRINCIPALS["ada"])

    assert len(found) == 6
    assert all(title.startswith("ada/") for title in found)


async def test_nothing_is_equal_to_nothing(session: AsyncSession) -> None:
    ada = PRINCIPALS["ada"]

    assert ada.client_id is None
    assert await titles(session, in_team, ada) == set()
    assert not in_team.allows(ada, Ticket(title="x", author=None, team=None))


async def test_none_is_not_among_values(session: AsyncSession) -> None:
    permission = column_in(Ticket.team, lambda _: [None, "red"])
    found = await titles(session, permission, PRINCIPALS["ada"])

    assert len(found) == 8
    assert all("/red/" in title for title in found)
    assert not permission.allows(PRINCIPALS["ada"], Ticket(title="x", author=None, team=None))


def test_a_text_is_no_collection_of_values() -> None:
    permission = column_in(Ticket.team, lambda _: "staff")

    with pytest.raises(ConfigurationError, match="taken apart"):
        permission.allows(PRINCIPALS["ada"], Ticket(title="x", author=None, team="st"))
    with pytest.raises(ConfigurationError, match="taken apart"):
        rows_of(permission, PRINCIPALS["ada"])


def test_refuses_a_part_that_says_nothing_of_rows() -> None:
    silent = Permission[Ticket](lambda _, ticket: ticket.is_open)

    for permission in (silent, ~silent, own | silent, silent & own):
        with pytest.raises(ConfigurationError, match="rows"):
            rows_of(permission, PRINCIPALS["ada"])


def test_a_policy_says_for_whom_it_is() -> None:
    policy = policy_for(
        PRINCIPALS["program"],
        read=own | has_role("staff"),
        update=own,
        hidden=[Ticket.team],
        read_only=[Ticket.author],
    )

    assert policy.name == "https://a.example|p"
    assert policy.update is not None
    assert (policy.create, policy.delete) == (None, None)
    assert (policy.hidden, policy.read_only) == ([Ticket.team], [Ticket.author])

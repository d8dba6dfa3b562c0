import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr
from sqlalchemy import Table, func, select, text, update
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server import models
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.clients import ClientDescription
from fastapi_baseline.auth.server.errors import ProtocolError
from fastapi_baseline.auth.server.grants import Approval
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.server.protocol.pkce import make_challenge
from fastapi_baseline.auth.server.signing_keys import SigningKeys
from fastapi_baseline.auth.sessions import Sessions, make_sessions
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import Database, ReadSession, WriteSession
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    AuthSettings,
    SessionSettings,
)
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.queries import max_queries

ISSUER = "https://issuer.example.com"
CALLBACK = "https://client.example.com/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
SECRET = "a-secret-of-32-characters-or-more"
ANN = Principal(issuer=SELF, subject="ann", transport="session", amr=frozenset({"pwd"}))
AT_ONCE = 20
ROUNDS = 8
TABLES: list[type[Any]] = [
    AuthSession,
    models.OAuthClient,
    models.OAuthGrant,
    models.OAuthCode,
    models.OAuthRefreshToken,
    models.OAuthSigningKey,
    models.OAuthUsedAssertion,
]


class Events:
    def __init__(self) -> None:
        self.all: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.all.append(event)

    def count(self, name: str) -> int:
        return sum(event.name == name for event in self.all)


class Owners:
    """Users who are all there."""

    async def find(self, subject: str, *, session: ReadSession) -> ResourceOwner:
        del session
        return ResourceOwner(subject=subject)


class Issuer:
    """A server, its clients and what they ask for."""

    def __init__(self, server: AuthorizationServer, sessions: Sessions, events: Events) -> None:
        self.server = server
        self.sessions = sessions
        self.events = events

    async def add_client(self) -> None:
        await self.server.clients.add(
            ClientDescription(
                name="shop",
                client_id="shop",
                auth_method="none",
                grant_types=("authorization_code", "refresh_token"),
                redirect_uris=(CALLBACK,),
                scopes=("openid", "offline_access", "orders"),
            )
        )

    async def start_session(self) -> Principal:
        request = Request({"type": "http", "headers": [], "client": None, "method": "POST"})
        return await self.sessions.start(request, Response(), ANN)

    async def get_code(self, *scopes: str, session: Principal | None = None) -> str:
        approval = Approval(
            client_id="shop",
            redirect_uri=CALLBACK,
            subject="ann",
            scopes=frozenset(scopes),
            code_challenge=make_challenge(VERIFIER),
            session_id=None if session is None else session.session_id,
        )
        async with self.server.database.transaction() as transaction:
            return await self.server.grants.issue_code(transaction, approval)

    async def ask(self, **form: str) -> dict[str, Any]:
        """Return an answer, or the error."""
        try:
            return await self.server.engine.exchange(Headers(), {"client_id": "shop", **form})
        except ProtocolError as error:
            return {"error": error.error}

    async def redeem(self, code: str) -> dict[str, Any]:
        return await self.ask(
            grant_type="authorization_code",
            code=code,
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        )

    async def refresh(self, token: str) -> dict[str, Any]:
        return await self.ask(grant_type="refresh_token", refresh_token=token)

    async def get_token(self, *scopes: str, session: Principal | None = None) -> str:
        answer = await self.redeem(await self.get_code(*scopes, session=session))
        return str(answer["refresh_token"])

    async def has_died(self, token: str, answer: dict[str, Any]) -> bool:
        """Return whether neither a token nor the one that it was exchanged for is good."""
        tokens = [token, *([answer["refresh_token"]] if "refresh_token" in answer else [])]
        return [await self.refresh(one) for one in tokens] == [{"error": "invalid_grant"}] * len(
            tokens
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(any_database_url: str, clock: ManualClock) -> AsyncIterator[Database]:
    database = Database(any_database_url, clock=clock)
    async with database.engine.begin() as connection:
        for model in TABLES:
            table: Table[Any] = model.metadata.tables[model.__tablename__]
            await connection.run_sync(table.create)
    yield database
    await database.dispose()


@pytest.fixture
async def issuer(database: Database, clock: ManualClock) -> AsyncIterator[Issuer]:
    events, keys = Events(), KeyRing([SECRET])
    sessions = make_sessions(
        SessionSettings(enabled=True), database=database, clock=clock, events=events
    )
    settings = AuthSettings(
        public_url=ISSUER,
        secret_keys=(SecretStr(SECRET),),
        server=AuthorizationServerSettings(enabled=True, scopes=("orders",), algorithm="ES256"),
    )
    server = AuthorizationServer(
        settings,
        database=database,
        keys=keys,
        clock=clock,
        events=events,
        sessions=sessions,
        owners=Owners(),
        signing_keys=SigningKeys(
            database, keys=keys, settings=settings.server, clock=clock, events=events
        ),
    )
    async with server.lifespan(object()):
        issuer = Issuer(server, sessions, events)
        await issuer.add_client()
        yield issuer


async def together(
    ask: Callable[[], Awaitable[dict[str, Any]]], times: int = AT_ONCE
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what came of many requests at once: who got tokens, and who did not."""
    answers = await asyncio.gather(*(ask() for _ in range(times)))
    return (
        [answer for answer in answers if "access_token" in answer],
        [answer for answer in answers if "access_token" not in answer],
    )


async def test_s03_of_twenty_who_redeem_a_code_at_once_one_wins_and_the_grant_ends(
    issuer: Issuer,
) -> None:
    code = await issuer.get_code("openid")

    won, lost = await together(lambda: issuer.redeem(code))

    assert len(won) == 1
    assert lost == [{"error": "invalid_grant"}] * (AT_ONCE - 1)
    assert await issuer.refresh(won[0]["refresh_token"]) == {"error": "invalid_grant"}
    # Those who come after the grant has ended are told nothing else.
    assert issuer.events.count("authorization_code_reused") >= 1
    assert issuer.events.count("grant_revoked") == 1


async def test_s05_of_twenty_who_refresh_at_once_one_wins_and_the_grant_lives(
    issuer: Issuer,
) -> None:
    token = await issuer.get_token("openid")

    won, lost = await together(lambda: issuer.refresh(token))

    assert len(won) == 1
    assert lost == [{"error": "invalid_grant"}] * (AT_ONCE - 1)
    assert "access_token" in await issuer.refresh(won[0]["refresh_token"])
    assert issuer.events.count("refresh_token_reused_in_window") == AT_ONCE - 1
    assert issuer.events.count("grant_revoked") == 0


async def test_s05_after_the_window_all_tokens_of_the_grant_die(
    issuer: Issuer, clock: ManualClock
) -> None:
    token = await issuer.get_token("openid")
    newest = (await issuer.refresh(token))["refresh_token"]
    clock.advance(timedelta(seconds=10))

    won, lost = await together(lambda: issuer.refresh(token), times=5)

    assert not won
    assert len(lost) == 5
    assert await issuer.refresh(newest) == {"error": "invalid_grant"}
    assert issuer.events.count("grant_revoked") == 1


async def test_s06_a_refresh_beside_a_revocation_leaves_no_living_token(issuer: Issuer) -> None:
    for _ in range(ROUNDS):
        token = await issuer.get_token("openid", "offline_access")

        answer, _ = await asyncio.gather(
            issuer.refresh(token), issuer.server.grants.revoke_all(SELF, "ann")
        )

        assert await issuer.has_died(token, answer)


async def is_waited_for(session: WriteSession, *, by: int = 1) -> None:
    """Return when so many wait for the rows that a transaction has locked."""
    if session.get_bind().dialect.name == "sqlite":
        return  # Whoever writes waits from the beginning.
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(20):
        while (await session.scalar(waiting) or 0) < by:
            pass


@pytest.mark.parametrize("kind", ["code", "refresh token"])
async def test_s03_of_two_who_have_both_seen_that_it_is_unused_one_wins(
    issuer: Issuer, clock: ManualClock, kind: str
) -> None:
    if kind == "code":
        ask, given = issuer.redeem, await issuer.get_code("openid")
    else:
        ask, given = issuer.refresh, await issuer.get_token("openid")

    async with asyncio.TaskGroup() as group, issuer.server.database.transaction() as session:
        await session.execute(update(models.OAuthGrant).values(last_used_at=clock.now()))
        asking = [group.create_task(ask(given)) for _ in range(2)]
        await is_waited_for(session, by=2)

    answers = sorted((task.result() for task in asking), key=len)
    assert answers[0] == {"error": "invalid_grant"}
    assert "access_token" in answers[1]


async def test_s06_who_refreshes_while_a_grant_ends_waits_and_gets_nothing(
    issuer: Issuer, clock: ManualClock
) -> None:
    token = await issuer.get_token("openid")

    async with asyncio.TaskGroup() as group, issuer.server.database.transaction() as session:
        await session.execute(update(models.OAuthGrant).values(revoked_at=clock.now()))
        refreshing = group.create_task(issuer.refresh(token))
        await is_waited_for(session)

    assert refreshing.result() == {"error": "invalid_grant"}


async def test_s06_a_refresh_beside_a_sign_out_leaves_no_living_token(issuer: Issuer) -> None:
    for _ in range(ROUNDS):
        session = await issuer.start_session()
        token = await issuer.get_token("openid", session=session)

        answer, _ = await asyncio.gather(
            issuer.refresh(token), issuer.sessions.revoke_all(SELF, "ann")
        )

        assert await issuer.has_died(token, answer)


async def test_s04_a_code_that_is_redeemed_beside_a_sign_out_leaves_no_living_token(
    issuer: Issuer,
) -> None:
    for _ in range(ROUNDS):
        session = await issuer.start_session()
        code = await issuer.get_code("openid", session=session)

        answer, _ = await asyncio.gather(
            issuer.redeem(code), issuer.sessions.revoke_all(SELF, "ann")
        )

        assert await issuer.redeem(code) == {"error": "invalid_grant"}
        assert await issuer.has_died(answer.get("refresh_token", code), {})


async def test_who_removes_a_client_waits_for_nobody_in_a_circle(issuer: Issuer) -> None:
    tokens = [await issuer.get_token("openid") for _ in range(ROUNDS)]

    answers = await asyncio.gather(
        *(issuer.refresh(token) for token in tokens), issuer.server.clients.remove("shop")
    )

    known = {"invalid_grant", "invalid_client", None}
    assert {
        answer["error"] if answer and "error" in answer else None for answer in answers
    } <= known
    async with issuer.server.database.transaction() as session:
        for model in (models.OAuthGrant, models.OAuthCode, models.OAuthRefreshToken):
            assert await session.scalar(select(func.count()).select_from(model)) == 0


async def test_several_who_end_all_grants_of_a_user_do_not_wait_in_a_circle(
    issuer: Issuer,
) -> None:
    tokens = [await issuer.get_token("openid") for _ in range(ROUNDS)]

    ended = await asyncio.gather(
        *(issuer.server.grants.revoke_all(SELF, "ann") for _ in range(5)),
        *(issuer.refresh(token) for token in tokens),
    )

    assert sum(one for one in ended if isinstance(one, int)) == ROUNDS
    assert await issuer.server.grants.list("ann") == []


async def test_s10_of_twenty_who_send_the_same_assertion_one_is_known(
    issuer: Issuer, clock: ManualClock
) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
    await issuer.server.clients.add(
        ClientDescription(
            name="job",
            client_id="job",
            auth_method="private_key_jwt",
            grant_types=("client_credentials",),
            scopes=("orders",),
            jwks={"keys": [key.as_dict(private=False)]},
        )
    )
    claims = {
        "iss": "job",
        "sub": "job",
        "aud": ISSUER,
        "exp": int(clock.now().timestamp()) + 60,
        "jti": "once",
    }
    assertion = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])

    won, lost = await together(
        lambda: issuer.ask(
            client_id="job",
            grant_type="client_credentials",
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion=assertion,
        )
    )

    assert len(won) == 1
    assert lost == [{"error": "invalid_client"}] * (AT_ONCE - 1)


async def test_asking_for_tokens_takes_few_statements(issuer: Issuer, clock: ManualClock) -> None:
    database = issuer.server.database
    added = await issuer.server.clients.add(
        ClientDescription(
            name="job",
            client_id="job",
            auth_method="client_secret_post",
            grant_types=("client_credentials",),
            scopes=("orders",),
        )
    )
    assert added.secret is not None
    secret = added.secret.get_secret_value()
    code = await issuer.get_code("openid")
    clock.advance(timedelta(seconds=1))

    with max_queries(1, database=database):
        await issuer.ask(client_id="job", client_secret=secret, grant_type="client_credentials")
    with max_queries(4, database=database):
        answer = await issuer.redeem(code)
    clock.advance(timedelta(minutes=1))
    # The keys are read once a minute.
    await issuer.server.signing_keys.refresh()
    with max_queries(5, database=database):
        assert "access_token" in await issuer.refresh(answer["refresh_token"])


async def test_what_is_over_for_a_day_is_deleted(issuer: Issuer, clock: ManualClock) -> None:
    grants = issuer.server.grants
    ended = await issuer.get_token("openid")
    await grants.revoke_all(SELF, "ann")
    await issuer.get_code("openid")
    clock.advance(timedelta(days=1))
    alive = await issuer.get_token("openid")
    clock.advance(timedelta(minutes=2))

    assert await grants.purge() == 2

    assert await issuer.refresh(ended) == {"error": "invalid_grant"}
    assert "access_token" in await issuer.refresh(alive)


async def test_times_are_the_same_on_every_database(issuer: Issuer, clock: ManualClock) -> None:
    await issuer.get_token("openid", "offline_access")

    (grant,) = await issuer.server.grants.list("ann")

    assert grant.expires_at == clock.now() + timedelta(days=90)
    assert isinstance(grant.auth_time, datetime)
    assert json.dumps(grant.scopes) == '["offline_access", "openid"]'


async def test_nobody_revokes_what_is_not_theirs(issuer: Issuer) -> None:
    token = await issuer.get_token("openid")
    (grant,) = await issuer.server.grants.list("ann")

    assert not await issuer.server.grants.revoke(grant.id, subject="bob")
    assert not await issuer.server.grants.revoke(grant.id, client_id="job")

    assert "access_token" in await issuer.refresh(token)


async def test_a_client_that_is_not_there_is_not_removed(issuer: Issuer) -> None:
    with pytest.raises(NotFoundError):
        await issuer.server.clients.remove("nobody")

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login.errors import (
    InvalidIdTokenError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.provider_sessions import ProviderSession, ProviderSessions
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.login.refreshing import TokenRefresher
from fastapi_baseline.auth.login.renewals import FAILURE_PAUSE
from fastapi_baseline.auth.login.session_errors import (
    ProviderTokensEndedError,
    ProviderTokensMissingError,
)
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    SessionEndedError,
    Sessions,
    SessionsUnavailableError,
)
from fastapi_baseline.testing import ManualClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(minutes=5)
BEFORE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
ISSUER = "https://op.example"
KEYS = KeyRing(["k" * 32])


class Client:
    """A provider that gives each refresh token's successor, and can be told to do otherwise."""

    def __init__(self, clock: ManualClock) -> None:
        self.provider = Provider(
            name="default", issuer=ISSUER, client_id="shop", client_secret=SecretStr("s")
        )
        self.clock = clock
        self.seen: list[str] = []
        self.asked = asyncio.Event()
        self.life: timedelta | None = LIFE
        self.fails: BaseException | None = None
        self.id_token: str | None = None
        self.id_tokens = self
        self.verified: IdToken | Exception = IdToken(issuer=ISSUER, subject="anna")
        self.rotates = True
        self.before: Callable[[], Awaitable[Any]] | None = None

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        self.seen.append(refresh_token)
        count = len(self.seen)
        self.asked.set()
        if self.before is not None:
            await self.before()
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        return ProviderTokens(
            access_token=f"access-{count}",
            expires_at=None if self.life is None else self.clock.now() + self.life,
            refresh_token=f"refresh-{count}" if self.rotates else None,
            id_token=self.id_token,
        )

    async def verify(
        self, token: str | None, *, nonce: str | None, access_token: str | None = None
    ) -> IdToken:
        assert (token, nonce, access_token) == ("new id", None, f"access-{len(self.seen)}")
        if isinstance(self.verified, Exception):
            raise self.verified
        return self.verified


class Flaky(MemoryLoginStore):
    """A store that can be down for a while."""

    down = 0
    """How many of the next writes fail."""

    async def replace_if(self, key: str, value: str, *, version: int, lifetime: timedelta) -> bool:
        if self.down:
            self.down -= 1
            raise SessionsUnavailableError
        return await super().replace_if(key, value, version=version, lifetime=lifetime)


class Desk:
    """Somebody's session, and what refreshes its tokens."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.events: list[SecurityEvent] = []
        self.sessions = Sessions(MemorySessionStore(clock=self.clock), clock=self.clock)
        self.store = Flaky(clock=self.clock)
        self.held = ProviderSessions(self.store, keys=KEYS, clock=self.clock)
        self.client = Client(self.clock)
        self.slept: list[float] = []
        self.asked_while_asleep: Callable[[], Awaitable[Any]] | None = None
        self.refresher = self.another()

    def another(self) -> TokenRefresher:
        """Return what another process would have."""
        return TokenRefresher(
            self.held,
            clients={"default": self.client},
            sessions=self.sessions,
            refresh_before=BEFORE,
            clock=self.clock,
            events=self,
            sleep=self.sleep,
        )

    async def begin_slow_refresh(
        self, principal: Principal
    ) -> tuple[asyncio.Event, asyncio.Future[str]]:
        """Return a refresh that the provider has been asked for, and what lets it answer."""
        gate = asyncio.Event()
        self.client.before = gate.wait
        slow = asyncio.ensure_future(self.refresher.get(principal))
        await self.client.asked.wait()
        return gate, slow

    async def record(self, event: SecurityEvent) -> None:
        self.events.append(event)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        if self.asked_while_asleep is not None:
            await self.asked_while_asleep()

    async def sign_in(
        self,
        subject: str = "anna",
        *,
        life: timedelta | None = LIFE,
        refresh_token: str | None = "refresh-0",  # noqa: S107 -- of a test
    ) -> Principal:
        request = Request({"type": "http", "method": "POST", "headers": [], "client": None})
        principal = await self.sessions.start(
            request, Response(), Principal(issuer=ISSUER, subject=subject, transport="session")
        )
        await self.held.keep(
            principal,
            provider="default",
            tokens=ProviderTokens(
                access_token="access-0",
                expires_at=None if life is None else NOW + life,
                refresh_token=refresh_token,
                id_token="old id",
            ),
            id_token=IdToken(issuer=ISSUER, subject=subject, sid="7"),
        )
        return principal

    async def find(self, principal: Principal) -> ProviderSession | None:
        found = await self.held.find(principal.session_id or "")
        return None if found is None else found.session

    async def has_session(self, principal: Principal) -> bool:
        return bool(await self.sessions.list(principal.issuer, principal.subject))


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_gives_out_a_token_that_lasts(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE - BEFORE - SECOND)

    assert await desk.refresher.get(anna) == "access-0"

    assert desk.client.seen == []


async def test_replaces_a_token_before_it_ends(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE - BEFORE)

    assert await desk.refresher.get(anna) == "access-1"
    assert await desk.refresher.get(anna) == "access-1"

    found = await desk.find(anna)
    assert found is not None
    assert (found.refresh_token, found.id_token, found.sid) == ("refresh-1", "old id", "7")
    assert found.refreshing_until is None
    assert desk.client.seen == ["refresh-0"]


async def test_each_refresh_token_is_used_once(desk: Desk) -> None:
    anna = await desk.sign_in()

    for _ in range(3):
        desk.clock.advance(LIFE)
        await desk.refresher.get(anna)

    assert desk.client.seen == ["refresh-0", "refresh-1", "refresh-2"]


async def test_goes_on_with_a_refresh_token_that_stays(desk: Desk) -> None:
    desk.client.rotates = False
    anna = await desk.sign_in()

    for _ in range(2):
        desk.clock.advance(LIFE)
        await desk.refresher.get(anna)

    assert desk.client.seen == ["refresh-0", "refresh-0"]


async def test_a_token_of_which_nobody_knows_when_it_ends_is_given_out(desk: Desk) -> None:
    anna = await desk.sign_in(life=None)
    desk.clock.advance(timedelta(minutes=29))

    assert await desk.refresher.get(anna) == "access-0"


async def test_short_tokens_are_not_replaced_with_each_request(desk: Desk) -> None:
    desk.client.life = BEFORE / 2
    anna = await desk.sign_in(life=BEFORE / 2)

    assert await desk.refresher.get(anna) == "access-0"
    desk.clock.advance(BEFORE / 4)
    assert await desk.refresher.get(anna) == "access-1"
    assert await desk.refresher.get(anna) == "access-1"


async def test_without_a_refresh_token_the_access_token_is_used_up(desk: Desk) -> None:
    anna = await desk.sign_in(refresh_token=None)
    desk.clock.advance(LIFE - SECOND)
    assert await desk.refresher.get(anna) == "access-0"
    desk.clock.advance(SECOND)

    with pytest.raises(ProviderTokensEndedError):
        await desk.refresher.get(anna)

    assert await desk.has_session(anna)


async def test_b17_of_many_who_wait_at_once_one_refreshes(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    tokens = await asyncio.gather(*(desk.refresher.get(anna) for _ in range(50)))

    assert set(tokens) == {"access-1"}
    assert desk.client.seen == ["refresh-0"]
    assert desk.slept == []


async def test_b17_of_many_processes_one_refreshes(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    tokens = await asyncio.gather(*(desk.another().get(anna) for _ in range(20)))

    assert set(tokens) == {"access-1"}
    assert desk.client.seen == ["refresh-0"]


async def test_b17_sessions_do_not_wait_for_each_other(desk: Desk) -> None:
    anna, otto = await desk.sign_in(), await desk.sign_in("otto")
    desk.clock.advance(LIFE)
    gate, slow = await desk.begin_slow_refresh(anna)
    desk.client.before = None

    assert await desk.refresher.get(otto) == "access-2"

    gate.set()
    await slow


async def test_others_use_the_old_token_while_it_lasts_and_is_replaced(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE - BEFORE)
    gate, slow = await desk.begin_slow_refresh(anna)

    assert await desk.another().get(anna) == "access-0"

    gate.set()
    assert await slow == "access-1"


async def test_who_goes_away_does_not_stop_the_others(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    gate = asyncio.Event()
    desk.client.before = gate.wait
    first, second = (asyncio.ensure_future(desk.refresher.get(anna)) for _ in range(2))
    await desk.client.asked.wait()

    first.cancel()
    gate.set()

    assert await second == "access-1"
    assert desk.client.seen == ["refresh-0"]


async def test_b18_a_refresh_token_that_is_refused_ends_the_session(desk: Desk) -> None:
    desk.client.fails = ProviderRefusedError("invalid_grant")
    anna = await desk.sign_in()
    desk.clock.advance(LIFE - BEFORE)

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert await desk.find(anna) is None
    assert not await desk.has_session(anna)
    [event] = desk.events
    assert (event.name, event.details["reason"]) == ("provider_tokens_lost", "refused")


async def test_b18_whoever_dies_while_it_refreshes_leaves_a_session_that_ends_cleanly(
    desk: Desk,
) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    # What dies does not clean up. The provider has given it the next refresh token already.
    desk.client.fails = asyncio.CancelledError()
    with pytest.raises(ProviderUnavailableError):
        await desk.another().get(anna)
    desk.client.fails = ProviderRefusedError("invalid_grant")

    with pytest.raises(ProviderUnavailableError):
        await desk.refresher.get(anna)
    assert len(desk.client.seen) == 1
    desk.clock.advance(timedelta(seconds=30))
    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert not await desk.has_session(anna)


async def test_b18_new_tokens_are_kept_even_if_the_store_is_away_for_a_moment(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    async def go_away() -> None:
        desk.store.down = 2

    desk.client.before = go_away

    assert await desk.refresher.get(anna) == "access-1"

    found = await desk.find(anna)
    assert found is not None
    assert found.refresh_token == "refresh-1"


async def test_b18_new_tokens_that_cannot_be_kept_are_not_given_out(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    async def go_away() -> None:
        desk.store.down = 100

    desk.client.before = go_away

    with pytest.raises(ProviderUnavailableError):
        await desk.refresher.get(anna)


@pytest.mark.parametrize(
    "verified",
    [
        InvalidIdTokenError("signature"),
        IdToken(issuer=ISSUER, subject="otto"),
        IdToken(issuer="https://other.example", subject="anna"),
    ],
    ids=["not good", "of somebody else", "of another issuer"],
)
async def test_b19_an_id_token_of_somebody_else_ends_the_session(
    desk: Desk, verified: IdToken | Exception
) -> None:
    desk.client.id_token, desk.client.verified = "new id", verified
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert await desk.find(anna) is None
    assert not await desk.has_session(anna)
    assert [event.details["reason"] for event in desk.events] == ["id_token"]


async def test_keeps_an_id_token_that_comes_along(desk: Desk) -> None:
    desk.client.id_token = "new id"
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    await desk.refresher.get(anna)

    found = await desk.find(anna)
    assert found is not None
    assert found.id_token == "new id"


async def test_a_new_refresh_token_is_kept_if_the_id_token_cannot_be_checked_yet(
    desk: Desk,
) -> None:
    desk.client.id_token, desk.client.verified = "new id", ProviderUnavailableError()
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    with pytest.raises(ProviderUnavailableError):
        await desk.refresher.get(anna)
    desk.client.verified = IdToken(issuer=ISSUER, subject="anna")
    desk.clock.advance(FAILURE_PAUSE)

    assert await desk.refresher.get(anna) == "access-2"

    assert desk.client.seen == ["refresh-0", "refresh-1"]


@pytest.mark.parametrize(
    "error",
    [ProviderUnavailableError(), ProviderRefusedError("invalid_client"), RuntimeError("odd")],
    ids=["down", "refuses us", "odd"],
)
async def test_the_old_token_is_given_out_while_it_lasts_and_the_provider_fails(
    desk: Desk, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "fastapi_baseline.auth.login")
    desk.client.fails = error
    anna = await desk.sign_in()
    desk.clock.advance(LIFE - BEFORE)

    if isinstance(error, RuntimeError):
        with pytest.raises(ProviderUnavailableError):
            await desk.refresher.get(anna)
    assert await desk.refresher.get(anna) == "access-0"
    desk.clock.advance(BEFORE)

    with pytest.raises(ProviderUnavailableError):
        await desk.refresher.get(anna)

    assert await desk.has_session(anna)


async def test_a_provider_that_fails_is_not_asked_with_each_request(desk: Desk) -> None:
    desk.client.fails = ProviderUnavailableError()
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    for _ in range(5):
        with pytest.raises(ProviderUnavailableError) as refused:
            await desk.another().get(anna)
        assert refused.value.retry_after == FAILURE_PAUSE
    desk.clock.advance(FAILURE_PAUSE)
    desk.client.fails = None

    assert await desk.another().get(anna) == "access-2"


async def test_a_session_that_ends_while_it_is_refreshed_does_not_come_back(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)

    async def sign_out() -> None:
        await desk.held.remove(anna.session_id or "")

    desk.client.before = sign_out

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert await desk.find(anna) is None


async def test_a_slow_attempt_does_not_undo_a_later_one(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    gate, slow = await desk.begin_slow_refresh(anna)
    desk.client.before = None
    desk.clock.advance(timedelta(seconds=30))

    later = await desk.another().get(anna)
    gate.set()

    assert later == "access-2"
    assert await slow == "access-2"
    found = await desk.find(anna)
    assert found is not None
    assert found.refresh_token == "refresh-2"


async def test_a_later_attempt_that_is_refused_does_not_undo_a_slow_one(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    gate, slow = await desk.begin_slow_refresh(anna)
    desk.clock.advance(timedelta(seconds=30))

    async def let_the_first_finish() -> None:
        desk.client.before = None
        gate.set()
        await slow
        desk.client.fails = ProviderRefusedError("invalid_grant")

    desk.client.before = let_the_first_finish

    assert await desk.another().get(anna) == await slow

    assert await desk.has_session(anna)


async def test_whoever_is_not_signed_in_with_a_provider_has_no_tokens(desk: Desk) -> None:
    own = Principal(issuer="self", subject="anna", transport="session", session_id="1")
    none = Principal(issuer=ISSUER, subject="anna", transport="bearer")

    for principal in (own, none):
        with pytest.raises(ProviderTokensMissingError):
            await desk.refresher.get(principal)


async def test_b25_a_session_whose_tokens_are_lost_ends(desk: Desk) -> None:
    anna = await desk.sign_in()
    await desk.held.remove(anna.session_id or "")

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert not await desk.has_session(anna)


async def test_b25_tokens_of_somebody_else_are_not_given_out(desk: Desk) -> None:
    anna = await desk.sign_in()
    otto = Principal(issuer=ISSUER, subject="otto", transport="session", session_id=anna.session_id)

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(otto)


async def test_a_session_of_a_provider_that_is_none_any_more_ends(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    other = Provider(
        name="default", issuer="https://new.example", client_id="a", client_secret=SecretStr("s")
    )
    desk.client.provider = other

    with pytest.raises(SessionEndedError):
        await desk.refresher.get(anna)

    assert desk.client.seen == []


async def test_lets_refreshes_that_are_under_way_end(desk: Desk) -> None:
    anna = await desk.sign_in()
    desk.clock.advance(LIFE)
    gate, request = await desk.begin_slow_refresh(anna)
    request.cancel()

    closing = asyncio.ensure_future(desk.refresher.close())
    await asyncio.sleep(0)
    gate.set()
    await closing

    found = await desk.find(anna)
    assert found is not None
    assert found.refresh_token == "refresh-1"


async def test_has_nothing_to_wait_for_at_the_end() -> None:
    await Desk().refresher.close()

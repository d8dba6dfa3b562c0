import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.provider_sessions import (
    EndedSession,
    ProviderSession,
    ProviderSessions,
)
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.sessions import Owner, SessionEndedError
from fastapi_baseline.testing import ManualClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=12)
ISSUER = "https://op.example"
KEYS = KeyRing(["k" * 32])


class Events:
    """Remembers what happened."""

    def __init__(self) -> None:
        self.all: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.all.append(event)


class Held:
    """The sessions of providers, their clock, and the store below."""

    def __init__(self, keys: KeyRing = KEYS) -> None:
        self.clock = ManualClock(NOW)
        self.events = Events()
        self.store = MemoryLoginStore(clock=self.clock)
        self.all = self.opened_with(keys)

    def opened_with(self, keys: KeyRing) -> ProviderSessions:
        return ProviderSessions(self.store, keys=keys, clock=self.clock, events=self.events)

    async def keep(self, session_id: str = "1", subject: str = "anna", **changed: Any) -> None:
        await self.all.keep(
            make_principal(session_id, subject),
            provider="default",
            tokens=replace(TOKENS, **changed),
            id_token=IdToken(issuer=ISSUER, subject=subject, sid=f"sid-of-{session_id}"),
        )

    async def value_of(self, session_id: str = "1") -> str:
        stored = await self.store.get(f"session:{session_id}")
        assert stored is not None
        return stored.value

    async def overwrite(self, value: str, session_id: str = "1") -> None:
        assert await self.store.replace_if(f"session:{session_id}", value, version=1, lifetime=LIFE)


TOKENS = ProviderTokens(
    access_token="access",
    expires_at=NOW + timedelta(minutes=5),
    refresh_token="refresh",
    id_token="id",
)


def make_principal(session_id: str | None = "1", subject: str = "anna") -> Principal:
    return Principal(
        issuer=ISSUER,
        subject=subject,
        transport="session",
        session_id=session_id,
        expires_at=NOW + LIFE,
    )


async def test_finds_what_was_kept() -> None:
    held = Held()
    await held.keep()

    found = await held.all.find("1")

    assert found is not None
    assert found.session == ProviderSession(
        session_id="1",
        provider="default",
        issuer=ISSUER,
        subject="anna",
        sid="sid-of-1",
        access_token="access",
        access_token_came_at=NOW,
        access_token_expires_at=NOW + timedelta(minutes=5),
        refresh_token="refresh",
        id_token="id",
        ends_at=NOW + LIFE,
    )


async def test_keeps_what_little_a_provider_gives() -> None:
    held = Held()
    await held.keep(expires_at=None, refresh_token=None, id_token=None)

    found = await held.all.find("1")

    assert found is not None
    assert found.session.access_token_expires_at is None
    assert found.session.refresh_token is None
    assert found.session.is_good_at(NOW + LIFE)


async def test_does_not_show_tokens_by_accident() -> None:
    held = Held()
    await held.keep(access_token="s1", refresh_token="s2", id_token="s3")

    found = repr(await held.all.find("1"))

    assert not {"s1", "s2", "s3"} & set(found.replace("'", " ").split())


async def test_goes_when_the_session_ends() -> None:
    held = Held()
    await held.keep()

    held.clock.advance(LIFE - timedelta(microseconds=1))
    assert await held.all.find("1") is not None
    held.clock.advance(timedelta(microseconds=1))
    assert await held.all.find("1") is None


async def test_does_not_last_longer_by_being_replaced() -> None:
    held = Held()
    await held.keep()
    held.clock.advance(LIFE - timedelta(minutes=1))
    found = await held.all.find("1")
    assert found is not None

    assert await held.all.replace(found, access_token="new") is not None
    held.clock.advance(timedelta(minutes=1))

    assert await held.all.find("1") is None
    assert await held.all.replace(found, access_token="newer") is None


@pytest.mark.parametrize(
    "principal",
    [make_principal(None), replace(make_principal(), expires_at=NOW)],
    ids=["no session", "over"],
)
async def test_refuses_what_is_no_session(principal: Principal) -> None:
    held = Held()
    id_token = IdToken(issuer=ISSUER, subject="anna")

    with pytest.raises(SessionEndedError):
        await held.all.keep(principal, provider="default", tokens=TOKENS, id_token=id_token)


async def test_does_not_take_tokens_of_others_for_a_session_that_has_some() -> None:
    held = Held()
    await held.keep()

    with pytest.raises(SessionEndedError):
        await held.keep("1", "otto")

    found = await held.all.find("1")
    assert found is not None
    assert found.session.subject == "anna"


async def test_replaces_what_was_read_only() -> None:
    held = Held()
    await held.keep()
    found = await held.all.find("1")
    assert found is not None

    first = await held.all.replace(found, access_token="new")
    second = await held.all.replace(found, access_token="other")

    assert first is not None
    assert second is None
    assert await held.all.find("1") == first
    assert not await held.all.remove_if_unchanged(found)
    assert await held.all.remove_if_unchanged(first)


async def test_finds_the_sessions_that_a_provider_names() -> None:
    held = Held()
    await held.keep("1", "anna")
    await held.keep("2", "anna")
    await held.keep("3", "otto")
    anna = Owner(ISSUER, "anna")

    assert await held.all.list_by_sid(ISSUER, "sid-of-2") == [EndedSession("2", anna)]
    assert await held.all.list_by_sid("https://other.example", "sid-of-2") == []
    by_subject = sorted(await held.all.list_by_subject(ISSUER, "anna"))
    assert by_subject == [EndedSession("1", anna), EndedSession("2", anna)]


async def test_finds_sessions_whose_keys_are_lost_so_that_they_can_end() -> None:
    held = Held()
    await held.keep()

    found = await held.opened_with(KeyRing(["x" * 32])).list_by_sid(ISSUER, "sid-of-1")

    assert found == [EndedSession("1", Owner(ISSUER, "anna"))]


async def test_reads_what_an_older_key_has_encrypted() -> None:
    held = Held()
    await held.keep()

    newer = held.opened_with(KeyRing(["n" * 32, "k" * 32]))

    assert await newer.find("1") is not None


async def test_b25_tokens_that_cannot_be_decrypted_are_none() -> None:
    held = Held()
    await held.keep()

    assert await held.opened_with(KeyRing(["x" * 32])).find("1") is None

    assert await held.store.get("session:1") is None
    assert [event.name for event in held.events.all] == ["provider_tokens_lost"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "null",
        "[]",
        '["a","b"]',
        '["a","b",3]',
        '[["a"],"b","c"]',
        "[" * 5000,
        "1" * 200000,
        '["https://op.example","anna","a.b.c.d.e"]',
    ],
    ids=lambda value: f"{len(value)} {value[:12]}",
)
async def test_b25_a_corrupted_record_is_none(value: str) -> None:
    held = Held()
    await held.keep()
    await held.overwrite(value)

    assert await held.all.find("1") is None
    assert await held.all.remove("1") is None


async def test_b25_tokens_that_were_copied_to_another_session_are_none() -> None:
    held = Held()
    await held.keep("1", "anna")
    await held.keep("2", "anna")
    await held.overwrite(await held.value_of("1"), "2")

    assert await held.all.find("2") is None


async def test_b25_tokens_of_which_it_was_changed_whose_they_are_are_none() -> None:
    held = Held()
    await held.keep()
    _, _, encrypted = json.loads(await held.value_of())
    await held.overwrite(json.dumps([ISSUER, "otto", encrypted]))

    assert await held.all.find("1") is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"session_id": "1"}', '{"ends_at": 1e999}'],
)
def test_refuses_what_is_no_session_of_a_provider(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ProviderSession.from_json(text)

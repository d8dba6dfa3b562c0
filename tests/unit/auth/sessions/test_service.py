from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    SessionEndedError,
    SessionRecord,
    Sessions,
    SessionStore,
    is_form_token,
)
from fastapi_baseline.testing import ManualClock

ANNA = Principal(
    issuer="https://issuer.example",
    subject="anna",
    transport="bearer",
    client_id="pages",
    scopes=frozenset({"orders:read"}),
    roles=frozenset({"staff"}),
    acr="1",
    amr=frozenset({"pwd"}),
)


class Events(list[SecurityEvent]):
    async def record(self, event: SecurityEvent) -> None:
        self.append(event)


def make_request(
    answer: Response | None = None, *, app: FastAPI | None = None, **headers: str
) -> Request:
    raw = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    if answer is not None:
        raw.append((b"cookie", answer.headers["set-cookie"].partition(";")[0].encode()))
    return Request({"type": "http", "headers": raw, "client": ("192.0.2.1", 1), "app": app})


def secret_in(answer: Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def sessions(clock: ManualClock, events: Events) -> Sessions:
    return Sessions(MemorySessionStore(clock=clock), clock=clock, events=events)


async def test_begins_a_session_of_who_has_proved_who_they_are(
    sessions: Sessions, clock: ManualClock
) -> None:
    answer = Response()

    found = await sessions.start(make_request(user_agent="Firefox"), answer, ANNA)

    [record] = await sessions.list(ANNA.issuer, "anna")
    assert found == replace(
        ANNA,
        transport="session",
        session_id=record.id,
        auth_time=clock.now(),
        expires_at=clock.now() + timedelta(hours=12),
    )
    assert (record.user_agent, record.address) == ("Firefox", "192.0.2.1")
    assert await sessions.find(secret_in(answer)) == record


async def test_keeps_when_they_have_proved_it(sessions: Sessions) -> None:
    moment = datetime(2025, 1, 1, tzinfo=UTC)

    found = await sessions.start(make_request(), Response(), replace(ANNA, auth_time=moment))

    assert found.auth_time == moment


async def test_does_not_know_when_they_have_proved_it_if_nobody_says(sessions: Sessions) -> None:
    answer = Response()

    found = await sessions.start(make_request(), answer, ANNA, has_just_proved=False)

    kept = await sessions.find(secret_in(answer))
    assert found.auth_time is None
    assert kept is not None
    assert kept.auth_time is None


async def test_every_session_has_a_secret_and_an_id_of_its_own(sessions: Sessions) -> None:
    answers = [Response() for _ in range(20)]
    found = [await sessions.start(make_request(), answer, ANNA) for answer in answers]

    assert len({secret_in(answer) for answer in answers}) == 20
    assert len({each.session_id for each in found}) == 20
    assert not {secret_in(answer) for answer in answers} & {each.session_id for each in found}


async def test_asks_for_as_much_randomness_as_it_says(clock: ManualClock) -> None:
    asked: list[int] = []

    def token_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    sessions = Sessions(MemorySessionStore(clock=clock), clock=clock, token_bytes=token_bytes)
    answer = Response()
    await sessions.start(make_request(), answer, ANNA)

    assert asked == [16, 32]
    assert secret_in(answer) == "A" * 43


async def test_keeps_little_of_what_browsers_say(sessions: Sessions) -> None:
    request = make_request(user_agent="é\x00" * 1_000)
    request.scope["client"] = None

    await sessions.start(request, Response(), ANNA)

    [record] = await sessions.list(ANNA.issuer, "anna")
    assert record.user_agent == "é" * 128
    assert record.address is None


async def test_rotates_a_session_that_is_unchanged(sessions: Sessions) -> None:
    first, second = Response(), Response()
    before = await sessions.start(make_request(), first, ANNA)

    after = await sessions.rotate(make_request(first), second)

    assert after == before
    assert secret_in(second) != secret_in(first)
    assert await sessions.find(secret_in(first)) is None
    assert await sessions.find(secret_in(second)) is not None


async def test_rotates_a_session_for_who_may_do_more(
    sessions: Sessions, clock: ManualClock
) -> None:
    first = Response()
    before = await sessions.start(make_request(), first, ANNA)
    clock.advance(timedelta(minutes=5))
    better = replace(ANNA, acr="2", roles=frozenset({"admin"}), auth_time=clock.now())

    after = await sessions.rotate(make_request(first), Response(), better)

    assert (after.acr, after.roles, after.auth_time) == ("2", {"admin"}, clock.now())
    assert (after.session_id, after.expires_at) == (before.session_id, before.expires_at)


async def test_does_not_rotate_the_session_of_somebody_else(sessions: Sessions) -> None:
    answer = Response()
    await sessions.start(make_request(), answer, ANNA)

    for other in (replace(ANNA, subject="otto"), replace(ANNA, issuer="self")):
        with pytest.raises(ConfigurationError):
            await sessions.rotate(make_request(answer), Response(), other)

    assert await sessions.find(secret_in(answer)) is not None


async def test_does_not_rotate_what_is_not_there(sessions: Sessions) -> None:
    answer = Response()
    await sessions.start(make_request(), answer, ANNA)
    await sessions.revoke_all(ANNA.issuer, "anna")

    for request in (make_request(), make_request(answer)):
        with pytest.raises(SessionEndedError):
            await sessions.rotate(request, Response())


async def test_does_not_rotate_what_ends_meanwhile(sessions: Sessions) -> None:
    class Late(MemorySessionStore):
        async def replace(self, digest: str, new_digest: str, record: SessionRecord) -> bool:
            return not (digest and new_digest and record)

    sessions.store = Late()
    answer, late = Response(), Response()
    await sessions.start(make_request(), answer, ANNA)

    with pytest.raises(SessionEndedError):
        await sessions.rotate(make_request(answer), late)

    assert "set-cookie" not in late.headers


async def test_makes_tokens_for_the_forms_of_the_session_that_asks(sessions: Sessions) -> None:
    answer = Response()
    await sessions.start(make_request(), answer, ANNA)

    token = sessions.make_form_token(make_request(answer))

    assert is_form_token(token, secret=secret_in(answer))
    with pytest.raises(SessionEndedError):
        sessions.make_form_token(make_request())


async def test_says_what_has_happened_and_to_whom(sessions: Sessions, events: Events) -> None:
    first, second = Response(), Response()
    one = await sessions.start(make_request(), first, ANNA)
    two = await sessions.start(make_request(first), second, ANNA)
    await sessions.end(make_request(second), Response())
    await sessions.end(make_request(second), Response())
    await sessions.start(make_request(), Response(), ANNA)
    await sessions.revoke_all(ANNA.issuer, "anna")
    await sessions.revoke_all(ANNA.issuer, "anna")

    assert [(event.name, dict(event.details)) for event in events] == [
        ("session_started", {"session": one.session_id}),
        ("session_revoked", {"session": one.session_id}),
        ("session_started", {"session": two.session_id}),
        ("sign_out", {"session": two.session_id}),
        ("session_started", events[4].details),
        ("session_revoked", {"sessions": "1"}),
    ]
    assert {(event.subject, event.outcome) for event in events} == {("anna", "success")}


async def test_changed_roles_end_the_sessions_that_have_others(
    sessions: Sessions, events: Events
) -> None:
    await sessions.start(make_request(), Response(), ANNA)
    await sessions.start(make_request(), Response(), replace(ANNA, roles=frozenset({"admin"})))

    ended = await sessions.update_roles(ANNA.issuer, "anna", ["admin"])

    assert ended == 1
    assert events[-1].name == "session_revoked"
    assert [record.roles for record in await sessions.list(ANNA.issuer, "anna")] == [{"admin"}]
    assert await sessions.update_roles(ANNA.issuer, "anna", ["admin"]) == 0


def test_are_the_same_in_a_transaction_if_they_are_not_in_the_database(
    sessions: Sessions,
) -> None:
    assert sessions.within(object()) is sessions


def test_are_in_the_transaction_if_they_are_in_the_database(sessions: Sessions) -> None:
    joined_store = MemorySessionStore()

    class Joining(MemorySessionStore):
        def within(self, transaction: Any) -> SessionStore:
            assert transaction == "transaction"
            return joined_store

    sessions.store = Joining()

    joined = sessions.within("transaction")

    assert joined.store is joined_store
    assert sessions.store is not joined_store
    assert joined.cookie is sessions.cookie


def test_are_those_of_the_application(sessions: Sessions) -> None:
    app = FastAPI()
    app.state.sessions = sessions

    assert Sessions.of(make_request(app=app)) is sessions


def test_are_those_of_the_application_around_one_that_is_mounted(sessions: Sessions) -> None:
    app, mounted = FastAPI(), FastAPI()
    app.state.sessions = sessions
    setattr(mounted.state, AROUND, app)

    assert Sessions.of(make_request(app=mounted)) is sessions


def test_an_application_without_sessions_says_so() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__SESSIONS__ENABLED"):
        Sessions.of(make_request(app=FastAPI()))


class Told(list[str]):
    """Who is told which sessions have ended, and may fail."""

    fails = False

    async def __call__(self, session_id: str) -> None:
        self.append(session_id)
        if self.fails:
            raise ConfigurationError


async def begin(sessions: Sessions) -> tuple[Response, str]:
    answer = Response()
    begun = await sessions.start(make_request(), answer, ANNA)
    assert begun.session_id is not None
    return answer, begun.session_id


async def test_listeners_are_told_of_each_session_that_somebody_ends(clock: ManualClock) -> None:
    sessions, told = Sessions(MemorySessionStore(clock=clock), clock=clock), Told()
    sessions.on_end(told)
    begun = [await begin(sessions) for _ in range(6)]
    ids = [session_id for _, session_id in begun]

    await sessions.end(make_request(begun[0][0]), Response())
    await sessions.start(make_request(begun[1][0]), Response(), ANNA)
    await sessions.revoke(ids[2], issuer=ANNA.issuer, subject=ANNA.subject)
    assert told == ids[:3]

    await sessions.revoke_all(ANNA.issuer, ANNA.subject, except_=ids[3])
    assert set(ids[4:]) <= set(told)
    assert ids[3] not in told
    await sessions.update_roles(ANNA.issuer, ANNA.subject, ["other"])
    assert told[-1] == ids[3]


async def test_listeners_are_told_nothing_of_what_did_not_end(clock: ManualClock) -> None:
    sessions, told = Sessions(MemorySessionStore(clock=clock), clock=clock), Told()
    sessions.on_end(told)
    _, session_id = await begin(sessions)

    await sessions.end(make_request(), Response())
    await sessions.revoke(session_id, issuer=ANNA.issuer, subject="ben")
    await sessions.update_roles(ANNA.issuer, ANNA.subject, ANNA.roles)

    assert told == []


async def test_a_session_ends_even_if_a_listener_fails(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    sessions, told = Sessions(MemorySessionStore(clock=clock), clock=clock), Told()
    told.fails = True
    sessions.on_end(told)
    answer, _ = await begin(sessions)

    assert await sessions.end(make_request(answer), Response())

    assert await sessions.list(ANNA.issuer, ANNA.subject) == []
    assert "It could not be told that a session has ended." in caplog.text

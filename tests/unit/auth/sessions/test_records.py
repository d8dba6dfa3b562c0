import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.sessions import Owner, SessionRecord
from fastapi_baseline.auth.sessions.records import from_microseconds, to_microseconds

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = SessionRecord(
    id="1",
    issuer="self",
    subject="anna",
    client_id="pages",
    scopes=frozenset({"read"}),
    roles=frozenset({"staff"}),
    auth_time=NOW - timedelta(seconds=1),
    acr="2",
    amr=frozenset({"pwd"}),
    created_at=NOW,
    last_seen_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)


def test_says_whose_it_is() -> None:
    assert RECORD.owner == Owner("self", "anna")


def test_is_a_principal_who_came_with_a_session() -> None:
    assert RECORD.as_principal() == Principal(
        issuer="self",
        subject="anna",
        transport="session",
        client_id="pages",
        scopes=frozenset({"read"}),
        roles=frozenset({"staff"}),
        auth_time=NOW - timedelta(seconds=1),
        acr="2",
        amr=frozenset({"pwd"}),
        session_id="1",
        expires_at=NOW + timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("after", "has_ended"),
    [
        (timedelta(minutes=20) - timedelta(microseconds=1), False),
        (timedelta(minutes=20), True),
        (timedelta(hours=1), True),
    ],
    ids=["before", "idle", "over"],
)
def test_ends_at_its_end(after: timedelta, has_ended: bool) -> None:
    assert RECORD.has_ended(NOW + after, idle_timeout=timedelta(minutes=20)) is has_ended


def test_is_over_even_if_it_is_used() -> None:
    assert RECORD.has_ended(NOW + timedelta(hours=1), idle_timeout=timedelta(days=1))


def test_is_the_same_after_it_was_text() -> None:
    assert SessionRecord.from_json(RECORD.to_json()) == RECORD


def test_takes_what_has_changed_since() -> None:
    later = NOW + timedelta(minutes=1)

    assert SessionRecord.from_json(RECORD.to_json(), last_seen_at=later).last_seen_at == later


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        "null",
        "[]",
        "{}",
        json.dumps({**json.loads(RECORD.to_json()), "more": 1}),
        json.dumps({**json.loads(RECORD.to_json()), "created_at": "now"}),
    ],
)
def test_refuses_what_is_no_session(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SessionRecord.from_json(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2255, 1, 1)))  # noqa: DTZ001 -- as hypothesis wants it
def test_moments_survive_being_counted_in_doubles(moment: datetime) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(hours=2)))

    microseconds = to_microseconds(aware)

    assert int(float(microseconds)) == microseconds
    assert from_microseconds(microseconds) == aware

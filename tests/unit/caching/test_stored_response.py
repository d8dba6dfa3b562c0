from typing import Any

import pytest
from starlette.background import BackgroundTask
from starlette.types import Message

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.stored_response import StoredResponse, is_known, not_modified

ENTRY = Entry(
    body=b"body",
    stored_at=0,
    fresh_until=1,
    stale_until=1,
    error_until=1,
    status=203,
    headers=((b"etag", b'"1"'), (b"content-type", b"text/plain"), (b"content-length", b"4")),
)


async def sent(response: StoredResponse, *, method: str = "GET") -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody should ask")

    await response({"type": "http", "method": method}, receive, send)
    return messages


async def test_it_sends_what_was_kept() -> None:
    start, body = await sent(StoredResponse(ENTRY, added=[(b"age", b"1")]))

    assert start["status"] == 203
    assert start["headers"] == [*ENTRY.headers, (b"age", b"1")]
    assert body == {"type": "http.response.body", "body": b"body"}


async def test_a_head_has_no_body_and_its_length() -> None:
    start, body = await sent(StoredResponse(ENTRY), method="HEAD")

    assert (body["body"], (b"content-length", b"4") in start["headers"]) == (b"", True)


async def test_what_is_to_be_done_afterwards_is_done() -> None:
    done: list[str] = []
    response = StoredResponse(ENTRY)
    response.background = BackgroundTask(done.append, "done")

    await sent(response)

    assert done == ["done"]


def test_its_headers_can_be_changed_without_changing_what_is_kept() -> None:
    response = StoredResponse(ENTRY)

    response.headers["ETag"] = '"2"'

    assert ENTRY.headers[0] == (b"etag", b'"1"')


async def test_a_client_that_has_it_gets_no_body() -> None:
    start, body = await sent(not_modified(ENTRY, added=[(b"age", b"1")]))

    assert (start["status"], body["body"]) == (304, b"")
    assert start["headers"] == [(b"etag", b'"1"'), (b"age", b"1")]


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ([], False),
        ([(b"if-none-match", b'"1"')], True),
        ([(b"if-none-match", b'W/"1"')], True),
        ([(b"if-none-match", b'"0"'), (b"if-none-match", b'"1"')], True),
        ([(b"if-none-match", b"*")], True),
        ([(b"if-none-match", b'"2"')], False),
        ([(b"if-none-match", b"nonsense")], False),
        ([(b"if-none-match", b'"1"'), (b"if-match", b'"1"')], False),
    ],
)
def test_knows_whether_the_client_has_it(
    headers: list[tuple[bytes, bytes]], *, known: bool
) -> None:
    scope: dict[str, Any] = {"headers": headers}

    assert is_known(scope, ENTRY.headers) is known

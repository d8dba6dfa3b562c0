from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.types import Message, Scope

from fastapi_baseline.idempotency.fingerprint import BodyDigest, fingerprint_of


def form(boundary: str, *, content: str = "hello", name: str = "a.txt") -> bytes:
    return (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: text/plain\r\n\r\n{content}\r\n"
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="note"\r\n\r\nx\r\n'
        f"--{boundary}--\r\n"
    ).encode()


async def fingerprint(
    *,
    body: bytes = b'{"a": 1}',
    content_type: str = "application/json",
    change: Mapping[str, object] | None = None,
) -> str:
    scope: Scope = {
        "type": "http",
        "app": None,
        "method": "POST",
        "path": "/payments/1",
        "query_string": b"q=1",
        "headers": [(b"content-type", content_type.encode())],
        **(change or {}),
    }
    messages: list[Message] = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:]},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    digest = BodyDigest()
    request = Request(scope, digest.wrap(receive))
    found = await fingerprint_of(request, digest)

    assert digest.is_complete
    assert await request.body() == body
    return found


CHANGES: dict[str, dict[str, object]] = {
    "method": {"method": "PATCH"},
    "path": {"path": "/payments/2"},
    "query": {"query_string": b"q=2"},
}


async def test_the_same_request_has_the_same_fingerprint() -> None:
    assert await fingerprint() == await fingerprint()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_another_request_has_another(change: Mapping[str, object]) -> None:
    assert await fingerprint(change=change) != await fingerprint()


async def test_another_body_has_another() -> None:
    assert await fingerprint(body=b'{"a": 2}') != await fingerprint()


async def test_another_media_type_has_another_and_its_parameters_do_not_matter() -> None:
    plain = await fingerprint(content_type="text/plain")

    assert plain != await fingerprint()
    assert plain == await fingerprint(content_type="Text/Plain; charset=utf-8")


def in_parts(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


async def test_the_boundary_of_a_form_does_not_matter() -> None:
    first = await fingerprint(body=form("aaa"), content_type=in_parts("aaa"))
    second = await fingerprint(body=form("bbbb"), content_type=in_parts("bbbb"))

    assert first == second


async def test_the_fields_of_a_form_matter() -> None:
    content = await fingerprint(body=form("a", content="bye"), content_type=in_parts("a"))
    name = await fingerprint(body=form("a", name="b.txt"), content_type=in_parts("a"))
    same = await fingerprint(body=form("a"), content_type=in_parts("a"))

    assert len({content, name, same}) == 3


async def test_what_only_claims_to_be_a_form_counts_as_its_bytes() -> None:
    first = await fingerprint(body=b"no form", content_type="multipart/form-data")
    second = await fingerprint(body=b"another", content_type="multipart/form-data")

    assert first != second

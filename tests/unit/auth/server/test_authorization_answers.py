from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request
from starlette.types import Message

from fastapi_baseline.auth.server.authorization_answers import make_answer, read_pairs
from fastapi_baseline.auth.server.authorization_requests import ReturnAddress, UnusableRequestError

FORM = "application/x-www-form-urlencoded"
ISSUER = "https://shop.example.com"


def request_of(
    query: bytes = b"", *bodies: bytes, method: str = "GET", content_type: str = FORM
) -> Request:
    async def chunks() -> AsyncGenerator[Message]:
        for body in bodies:
            yield {"type": "http.request", "body": body, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    messages = chunks()

    async def receive() -> Message:
        return await anext(messages)

    scope = {
        "type": "http",
        "method": method,
        "path": "/oauth2/authorize",
        "query_string": query,
        "headers": [(b"content-type", content_type.encode())],
    }
    return Request(scope, receive)


async def test_reads_a_query() -> None:
    pairs = await read_pairs(request_of(b"a=1&a=2&b=%C3%A4+%26&c="))

    assert pairs == [("a", "1"), ("a", "2"), ("b", "ä &")]


async def test_reads_a_form_together_with_the_query() -> None:
    pairs = await read_pairs(request_of(b"a=1", b"a=2&", b"b=3", method="POST"))

    assert pairs == [("a", "1"), ("a", "2"), ("b", "3")]


@pytest.mark.parametrize("query", [b"a=%FF", b"a=\xff", b"a=%ED%A0%80", b"&".join([b"a=1"] * 65)])
async def test_what_is_no_text_or_too_much_is_refused(query: bytes) -> None:
    with pytest.raises(UnusableRequestError):
        await read_pairs(request_of(query))
    with pytest.raises(UnusableRequestError):
        await read_pairs(request_of(b"", query, method="POST"))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "text/plain"])
async def test_other_bodies_are_refused(content_type: str) -> None:
    with pytest.raises(UnusableRequestError):
        await read_pairs(request_of(b"", b"a=1", method="POST", content_type=content_type))


async def test_a_huge_body_is_refused_before_it_is_there() -> None:
    request = request_of(b"", *[b"a" * 1024] * 1000, method="POST")

    with pytest.raises(UnusableRequestError):
        await read_pairs(request)

    rest = [chunk async for chunk in request.stream()]
    assert len(rest) > 900


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example.com/callback",
        "https://app.example.com/callback?tenant=a%20b&x=",
        "https://app.example.com",
        "https://app.example.com?",
        "http://127.0.0.1:53682/",
        "com.example.app:/callback",
    ],
)
def test_an_answer_says_from_whom_it_is_and_keeps_what_was_in_the_address(
    redirect_uri: str,
) -> None:
    address = ReturnAddress(redirect_uri=redirect_uri, state='a b&c="d"%ä')

    response = make_answer(address, {"code": "fbc_1"}, issuer=ISSUER)

    location = response.headers["location"]
    before, after = urlsplit(redirect_uri), urlsplit(location)
    added = [("code", "fbc_1"), ("state", 'a b&c="d"%ä'), ("iss", ISSUER)]
    assert after[:3] == before[:3]
    assert parse_qsl(after.query, keep_blank_values=True) == [
        *parse_qsl(before.query, keep_blank_values=True),
        *added,
    ]
    assert location.isascii()
    assert response.status_code == 303
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_without_a_state_none_goes_back() -> None:
    address = ReturnAddress(redirect_uri="https://app.example.com/", state=None)

    response = make_answer(address, {"error": "access_denied"}, issuer=ISSUER)

    assert parse_qsl(urlsplit(response.headers["location"]).query) == [
        ("error", "access_denied"),
        ("iss", ISSUER),
    ]

from collections.abc import Sequence
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.pages import (
    InvalidFormError,
    find_form_secret,
    open_form,
    read_form,
)
from fastapi_baseline.auth.sessions import AmbiguousSessionError, is_form_token

FORM = "application/x-www-form-urlencoded"
SECRET = "s" * 43


def request(body: bytes = b"", *, content_type: str = FORM, cookies: Sequence[str] = ()) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    headers += [(b"cookie", cookie.encode()) for cookie in cookies]
    return Request({"type": "http", "method": "POST", "headers": headers, "app": None}, receive)


def test_the_token_of_a_form_goes_with_the_cookie_of_its_page() -> None:
    response = Response()

    form = open_form(request())
    form.keep(response)

    name, _, rest = response.headers["set-cookie"].partition("=")
    secret, *attributes = rest.split("; ")
    assert name == "__Host-form"
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} == set(attributes)
    assert is_form_token(form.token, secret=secret)


def test_a_page_with_a_form_is_kept_by_no_cache() -> None:
    response = Response()

    open_form(request()).keep(response)

    assert response.headers["cache-control"] == "no-store"


def test_two_browsers_have_two_secrets() -> None:
    first, second = Response(), Response()

    open_form(request()).keep(first)
    open_form(request()).keep(second)

    assert first.headers["set-cookie"] != second.headers["set-cookie"]


def test_a_browser_that_has_a_form_already_keeps_its_cookie() -> None:
    response = Response()

    form = open_form(request(cookies=[f"__Host-form={SECRET}"]))
    form.keep(response)

    assert "set-cookie" not in response.headers
    assert is_form_token(form.token, secret=SECRET)


def test_the_token_is_in_no_representation() -> None:
    form = open_form(request())

    assert form.token not in repr(form)


def test_a_cookie_that_is_not_ours_counts_as_none() -> None:
    assert find_form_secret(request(cookies=["__Host-form=short"])) is None


def test_refuses_to_choose_between_two_cookies() -> None:
    ambiguous = request(cookies=[f"__Host-form={SECRET}; __Host-form={'t' * 43}"])

    with pytest.raises(AmbiguousSessionError):
        open_form(ambiguous)


async def test_reads_the_fields_of_a_form() -> None:
    body = urlencode({"email": "änn@example.com", "password": "a&b=c d", "empty": ""}).encode()

    fields = await read_form(request(body, content_type=f"{FORM}; charset=UTF-8"))

    assert fields == {"email": "änn@example.com", "password": "a&b=c d", "empty": ""}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b'{"email": "a"}', "application/json", id="JSON"),
        pytest.param(b"email=a", "", id="nothing said"),
        pytest.param(
            b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            id="parts",
        ),
        pytest.param(b"email=a&email=b", FORM, id="a field twice"),
        pytest.param(b"&".join(b"f%d=1" % n for n in range(33)), FORM, id="too many fields"),
        pytest.param(b"email=" + b"a" * 20_000, FORM, id="a field that is too long"),
    ],
)
async def test_refuses_what_no_form_of_a_page_sends(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidFormError):
        await read_form(request(body, content_type=content_type))

"""What goes back to a client: a code, or why there is none; always with `iss` and its own `state`.

`iss` says from whom the answer is (RFC 9207), so that no client sends a code to another server. The
status is 303, with which no browser sends again what was in a form (RFC 9700, section 4.12).
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.server.authorization_requests import (
    ReturnAddress,
    UnusableRequestError,
)

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MAX_BODY_SIZE = 64 * 1024
_MAX_PARAMETERS = 64
# What is in an address already stays as it is.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


async def read_pairs(request: Request) -> Sequence[tuple[str, str]]:
    """Return all parameters of a request, those of its form too, in their order.

    Raises:
        UnusableRequestError: If they are no text, are too many, or come in another kind of body.
    """
    parts = [bytes(request.scope["query_string"])]
    if request.method == "POST":
        parts.append(await _read_body(request))
    text = b"&".join(part for part in parts if part)
    try:
        return parse_qsl(text.decode("ascii"), errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise UnusableRequestError from error


async def _read_body(request: Request) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _MEDIA_TYPE:
        raise UnusableRequestError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_SIZE:
            raise UnusableRequestError
    return bytes(body)


def make_answer(address: ReturnAddress, said: Mapping[str, str], *, issuer: str) -> Response:
    """Send a browser back to a client, with what the client is told."""
    parameters = dict(said)
    if address.state is not None:
        parameters["state"] = address.state
    parameters["iss"] = issuer
    uri = address.redirect_uri
    separator = "&" if urlsplit(uri).query else "" if uri.endswith("?") else "?"
    return make_redirect(f"{uri}{separator}{urlencode(parameters, quote_via=quote)}")


def make_redirect(url: str) -> Response:
    """Send a browser elsewhere, and let nobody keep or pass on where that is."""
    return Response(
        status_code=HTTPStatus.SEE_OTHER,
        headers={
            "Location": quote(url, safe=_SAFE),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )

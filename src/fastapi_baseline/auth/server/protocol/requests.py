"""What clients send to the endpoints of the protocol: forms, read strictly."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from fastapi_baseline.auth.server.errors import ProtocolError

MAX_BODY = 32 * 1024
"""How many bytes the body of a request has at most."""

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 50
# What ends up in logs if it is in the URL (RFC 6749, section 2.3.1; RFC 9700, section 4.3.2).
_NEVER_IN_URL = frozenset(
    {
        "access_token",
        "client_assertion",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "password",
        "refresh_token",
        "token",
    }
)


async def read_form(request: Request) -> dict[str, str]:
    """Return the parameters of a request; those that are empty count as left out (RFC 6749, 3.2).

    Raises:
        ProtocolError: If it is no form in UTF-8, or too large, or a parameter is there twice, or one
            that belongs into the form is in the URL.
    """
    types = request.headers.getlist("content-type")
    if len(types) != 1 or not _is_form(types[0]):
        raise ProtocolError(f"The body must be {_FORM}.")
    if any(name in _NEVER_IN_URL for name in request.query_params):
        raise ProtocolError("Parameters belong into the body, not into the URL.")
    return parse_form(await _read_body(request))


def parse_form(body: bytes) -> dict[str, str]:
    """Return the parameters of a form.

    Raises:
        ProtocolError: If it is no form in UTF-8, or a parameter is there twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise ProtocolError("The form cannot be read.") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise ProtocolError("A parameter is there twice.")
    return {name: value for name, value in parameters.items() if value}


def _is_form(content_type: str) -> bool:
    media_type, _, rest = content_type.partition(";")
    charset = rest.strip().lower()
    return media_type.strip().lower() == _FORM and charset in {
        "",
        "charset=utf-8",
        'charset="utf-8"',
    }


async def _read_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise ProtocolError("The body is too large.")
        parts.append(part)
    return b"".join(parts)

"""Which client is asking (RFC 6749, section 2.3): one way to say so, and one answer to all others."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_plus

from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from fastapi_baseline.auth.server.client_checks import is_client_id
from fastapi_baseline.auth.server.digests import MAX_LENGTH, digest_of
from fastapi_baseline.auth.server.errors import InvalidClientError, ProtocolError
from fastapi_baseline.auth.server.models import ClientAuthMethod, OAuthClient
from fastapi_baseline.auth.server.protocol.client_assertions import (
    ASSERTION_TYPE,
    check_assertion,
    read_assertion,
)
from fastapi_baseline.auth.tokens.verification import ReadToken

_MAX_HEADER = 2048
# What the secret of nobody is compared with, so that it takes as long as that of somebody.
_NO_DIGEST = digest_of("")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Who a client says that it is, and what it proves that with."""

    client_id: str
    method: ClientAuthMethod
    secret: str = field(default="", repr=False)
    assertion: ReadToken | None = field(default=None, repr=False)


def read_credentials(headers: Headers, form: Mapping[str, str]) -> ClientCredentials:
    """Return how a request says which client is asking.

    Raises:
        ProtocolError: If it says so in two ways.
        InvalidClientError: If it does not say so, or nobody could understand it.
    """
    ways = [
        *(["client_secret_basic"] * len(headers.getlist("authorization"))),
        *(["client_secret_post"] if "client_secret" in form else []),
        *(
            ["private_key_jwt"]
            if {"client_assertion", "client_assertion_type"} & form.keys()
            else []
        ),
    ]
    if len(ways) > 1:
        raise ProtocolError("A client says in one way who it is.")
    if not ways:
        return ClientCredentials(client_id=_client_id_of(form), method="none")
    if ways[0] == "client_secret_post":
        return ClientCredentials(
            client_id=_client_id_of(form), method="client_secret_post", secret=form["client_secret"]
        )
    if ways[0] == "private_key_jwt":
        return _read_assertion(form)
    return _read_basic(headers["authorization"], form)


def authenticate(
    session: Session,
    credentials: ClientCredentials,
    *,
    audiences: frozenset[str],
    now: datetime,
    allows_public: bool = True,
) -> OAuthClient:
    """Return the client that is asking, in the transaction of `session`.

    `audiences` are what an assertion may say whom it is for. Who has no secret is a public client:
    it is believed, if `allows_public`.

    Raises:
        InvalidClientError: If it is not known which one it is.
    """
    client = session.get(OAuthClient, credentials.client_id)
    expected = None if client is None else client.auth_method
    is_proved = _has_secret(client, credentials.secret, now=now)
    if client is None or expected != credentials.method:
        raise InvalidClientError
    if credentials.assertion is not None:
        check_assertion(session, client, credentials.assertion, audiences=audiences, now=now)
    elif not (allows_public if client.is_public else is_proved):
        raise InvalidClientError
    return client


def _client_id_of(form: Mapping[str, str]) -> str:
    return _check_client_id(form.get("client_id", ""))


def _check_client_id(text: str) -> str:
    if not is_client_id(text):
        raise InvalidClientError
    return text


def _has_secret(client: OAuthClient | None, secret: str, *, now: datetime) -> bool:
    digests = [_NO_DIGEST, _NO_DIGEST]
    if client is not None and client.secret_digest is not None:
        digests[0] = client.secret_digest
        until = client.previous_secret_expires_at
        if client.previous_secret_digest is not None and until is not None and now < until:
            digests[1] = client.previous_secret_digest
    given = digest_of(secret) if secret.isascii() and len(secret) <= MAX_LENGTH else _NO_DIGEST
    found = [hmac.compare_digest(given, digest) for digest in digests]
    return any(found) and given != _NO_DIGEST


def _read_assertion(form: Mapping[str, str]) -> ClientCredentials:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise InvalidClientError
    token = read_assertion(form["client_assertion"])
    subject: object = token.claims.get("sub")
    if not isinstance(subject, str) or form.get("client_id", subject) != subject:
        raise InvalidClientError
    return ClientCredentials(
        client_id=_check_client_id(subject), method="private_key_jwt", assertion=token
    )


def _read_basic(header: str, form: Mapping[str, str]) -> ClientCredentials:
    scheme, _, encoded = header.partition(" ")
    if len(header) > _MAX_HEADER or scheme.lower() != "basic":
        raise InvalidClientError
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
        name, separator, password = text.partition(":")
        # Both were encoded as in a form (RFC 6749, section 2.3.1).
        client_id, secret = (unquote_plus(one, errors="strict") for one in (name, password))
    except (binascii.Error, ValueError) as error:
        raise InvalidClientError from error
    if not separator:
        raise InvalidClientError
    if form.get("client_id", client_id) != client_id:
        raise ProtocolError("A client says in one way who it is.")
    return ClientCredentials(
        client_id=_check_client_id(client_id), method="client_secret_basic", secret=secret
    )

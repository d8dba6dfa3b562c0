"""What the claims of a verified token must say, and who they say is asking."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.auth.tokens.issuers import TrustedIssuer

Claims = Mapping[str, Any]

# The end of the year 9999, after which there are no dates.
_MAX_TIME = 253_402_300_799
_MAX_SUBJECT_LENGTH = 1024


def check_claims(
    claims: Claims,
    issuer: TrustedIssuer,
    *,
    now: float,
    skew: float,
    needs_expiry: bool = True,
) -> None:
    """Refuse claims that are not those of an access token for this service, at this time.

    `now` and `skew` are in seconds. The issuer has been looked at, and the signature.

    Raises:
        InvalidTokenError: If they are not; it says why.
    """
    expires_at = _read_time(claims, "exp")
    if expires_at is None:
        if needs_expiry:
            raise InvalidTokenError("claims")
    elif now >= expires_at + skew:
        # "On or after" it (RFC 7519, section 4.1.4).
        raise InvalidTokenError("expired")
    for name in ("nbf", "iat"):
        moment = _read_time(claims, name)
        if moment is not None and moment > now + skew:
            raise InvalidTokenError("not_yet_valid")
    check_audience(issuer.profile.audience(claims), issuer.audiences)
    if "events" in claims or not issuer.profile.is_access_token(claims):
        # Only logout tokens and others about security have events (RFC 8417, section 2.2).
        raise InvalidTokenError("type")


def check_audience(audience: object, accepted: frozenset[str]) -> None:
    """Refuse a token that is not for any of these audiences, to the letter.

    Raises:
        InvalidTokenError: If it is not for them, or does not say for whom it is.
    """
    if isinstance(audience, str):
        if audience in accepted:
            return
    elif isinstance(audience, list):
        listed = cast("list[object]", audience)
        if all(isinstance(one, str) for one in listed) and not accepted.isdisjoint(listed):
            return
    raise InvalidTokenError("audience")


def read_principal(claims: Claims, issuer: TrustedIssuer) -> Principal:
    """Return who is asking.

    Raises:
        InvalidTokenError: If the claims do not say, or are not of the types that they have.
    """
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= _MAX_SUBJECT_LENGTH
        # NUL, line breaks and halves of surrogate pairs break databases, logs and encoders.
        or not subject.isprintable()
    ):
        raise InvalidTokenError("claims")
    profile = issuer.profile
    return Principal(
        issuer=profile.knower(claims) or issuer.issuer,
        subject=subject,
        transport="bearer",
        client_id=_read_client(claims, profile.clients),
        scopes=profile.scopes(claims),
        roles=profile.roles(claims, issuer.audiences),
        auth_time=_read_date(claims, "auth_time"),
        acr=_read_text(claims, "acr"),
        amr=_read_methods(claims),
        session_id=None if profile.session is None else _read_text(claims, profile.session),
        expires_at=_read_date(claims, "exp"),
        claims=claims,
    )


def _read_time(claims: Claims, name: str) -> float | None:
    """Return a number of seconds since 1970 (RFC 7519, section 2), or `None` if there is none."""
    value: object = claims.get(name)
    if value is None:
        if name in claims:
            raise InvalidTokenError("claims")
        return None
    # `True` is a number in Python. Comparisons with NaN are all false, so it would never expire.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_TIME:
        raise InvalidTokenError("claims")
    return value


def _read_date(claims: Claims, name: str) -> datetime | None:
    seconds = _read_time(claims, name)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _read_text(claims: Claims, name: str) -> str | None:
    value: object = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable():
        raise InvalidTokenError("claims")
    return value


def _read_client(claims: Claims, names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in claims:
            return _read_text(claims, name)
    return None


def _read_methods(claims: Claims) -> frozenset[str]:
    value: object = claims.get("amr")
    if value is None:
        return frozenset()
    methods = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(method, str) for method in methods):
        raise InvalidTokenError("claims")
    return frozenset(cast("list[str]", methods))

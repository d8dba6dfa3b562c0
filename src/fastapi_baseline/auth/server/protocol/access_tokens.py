"""What access tokens say: RFC 9068, so that any API can check them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.server.protocol.services import ProtocolServices

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 -- the `typ` of such tokens, and none of them
"""What their header says, so that no other token is taken for one."""

_ID_BYTES = 16


def make_access_token(
    services: ProtocolServices,
    client: OAuthClient,
    *,
    scopes: Iterable[str],
    now: datetime,
    grant: OAuthGrant | None = None,
    owner: ResourceOwner | None = None,
) -> str:
    """Return an access token of a client; of a user, if there is a grant and its owner."""
    issued_at = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": services.issuer,
        "sub": client.client_id if owner is None else owner.subject,
        "aud": _one_or_all(client.audiences or services.audiences),
        "client_id": client.client_id,
        "scope": join_scopes(scopes),
        "iat": issued_at,
        "exp": issued_at + int(services.settings.access_token_lifetime.total_seconds()),
        "jti": services.token_bytes(_ID_BYTES).hex(),
    }
    if grant is not None and owner is not None:
        # What users are lets a program of somebody else's do nothing: they agree to scopes alone.
        roles = sorted(owner.roles) if client.is_first_party else []
        claims |= {"grant": grant.id, "roles": roles, **authentication_of(grant)}
    return services.signer.sign(claims, typ=ACCESS_TOKEN_TYPE)


def authentication_of(grant: OAuthGrant) -> dict[str, Any]:
    """Return how a user has proved who they are, as tokens say it (RFC 9068, section 2.2.1)."""
    told: dict[str, Any] = {"auth_time": int(grant.auth_time.timestamp())}
    if grant.acr is not None:
        told["acr"] = grant.acr
    if grant.amr:
        told["amr"] = list(grant.amr)
    if grant.session_id is not None:
        told["sid"] = grant.session_id
    return told


def join_scopes(scopes: Iterable[str]) -> str:
    """Return scopes as tokens have them: each once, and in order."""
    return " ".join(sorted(set(scopes)))


def _one_or_all(audiences: Sequence[str]) -> str | list[str]:
    return audiences[0] if len(audiences) == 1 else list(audiences)

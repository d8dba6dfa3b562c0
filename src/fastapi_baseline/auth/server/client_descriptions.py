"""What is said of a client that is to be added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi_baseline.auth.server.models import ClientAuthMethod, GrantType


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDescription:
    """A client that is to be added.

    `redirect_uris` have https, or are for apps: `http://127.0.0.1/callback` (any port, RFC 8252,
    section 7.3) or `com.example.app:/callback`. `scopes` are all that it may ask for. Without a
    `client_id`, it gets a random one.
    """

    name: str
    client_id: str | None = None
    auth_method: ClientAuthMethod = "client_secret_basic"
    grant_types: Sequence[GrantType] = ("authorization_code",)
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    scopes: Sequence[str] = ()
    audiences: Sequence[str] = ()
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    is_first_party: bool = False
    may_introspect: bool = False

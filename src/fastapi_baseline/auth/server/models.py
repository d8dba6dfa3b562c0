"""What is stored of clients and of what they were granted.

The models of a service import this module, so that its migrations know all tables of the server.
Codes, refresh tokens and secrets are random, 256 bits and more, so SHA-256 of them is all that is
kept.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.server.interaction_models import OAuthConsent, OAuthInteraction
from fastapi_baseline.auth.server.redirect_uris import find_any_port
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.persistence import Base

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import JSON, ForeignKey, Index, String, Text
    from sqlalchemy.orm import Mapped, mapped_column

__all__ = [
    "CLIENT_ID_LENGTH",
    "DIGEST_LENGTH",
    "ID_LENGTH",
    "SUBJECT_LENGTH",
    "ClientAuthMethod",
    "GrantType",
    "OAuthClient",
    "OAuthCode",
    "OAuthConsent",
    "OAuthGrant",
    "OAuthInteraction",
    "OAuthRefreshToken",
    "OAuthSigningKey",
    "OAuthUsedAssertion",
    "RevocationReason",
]

ClientAuthMethod = Literal["client_secret_basic", "client_secret_post", "none", "private_key_jwt"]
"""How a client proves who it is (RFC 7591, section 2); who has `none` is public."""

GrantType = Literal["authorization_code", "client_credentials", "refresh_token"]
"""What a client may exchange for tokens."""

RevocationReason = Literal[
    "by_client",
    "by_user",
    "code_reused",
    "refresh_token_reused",
    "session_ended",
    "trust_ended",
]
"""Why a grant has ended."""

DIGEST_LENGTH = 64
ID_LENGTH = 32
CLIENT_ID_LENGTH = 64
SUBJECT_LENGTH = 255


class OAuthClient(Base):
    """One program that may ask for tokens."""

    __tablename__: ClassVar[Any] = "oauth_client"

    client_id: Mapped[str] = mapped_column(String(CLIENT_ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    """What people read when they are asked whether it may."""
    auth_method: Mapped[str] = mapped_column(String(32))
    """A `ClientAuthMethod`."""
    secret_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH), default=None)
    previous_secret_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH), default=None)
    previous_secret_expires_at: Mapped[datetime | None] = mapped_column(default=None)
    """Until when the secret before the last change is good as well."""
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    """Its public keys, of one that proves who it is with `private_key_jwt`."""
    grant_types: Mapped[list[str]] = mapped_column(JSON, default=list)
    redirect_uris: Mapped[list[str]] = mapped_column(JSON, default=list)
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(JSON, default=list)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    """All that it may ask for, `openid` and `offline_access` too."""
    audiences: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Whom its access tokens are for; if empty, for whom the settings say."""
    is_first_party: Mapped[bool] = mapped_column(default=False)
    """Whether it is the service's own, so that nobody is asked whether it may."""
    may_introspect: Mapped[bool] = mapped_column(default=False)
    """Whether it is an API that may ask about the tokens of other clients, if they are for it."""
    created_at: Mapped[datetime]

    @property
    def is_public(self) -> bool:
        """Return whether it can keep no secret: a page in a browser, or an app."""
        return self.auth_method == "none"

    def has_redirect_uri(self, uri: str) -> bool:
        """Return whether codes may be sent there: to the letter one that was registered.

        Only the port of a loopback address of an app may be any (RFC 8252, section 7.3).
        """
        if uri in self.redirect_uris:
            return True
        wanted = find_any_port(uri)
        return wanted is not None and any(
            wanted == find_any_port(one) for one in self.redirect_uris
        )


class OAuthGrant(Base):
    """What one user has allowed one client: the root of all tokens that come of it.

    A token is good only as long as its grant is: `revoked_at` ends all of them with one statement.
    """

    __tablename__: ClassVar[Any] = "oauth_grant"
    __table_args__: ClassVar[Any] = (Index(None, "subject", "issuer"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        ForeignKey("oauth_client.client_id", ondelete="CASCADE"), index=True
    )
    issuer: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """With `issuer`, who has allowed it."""
    session_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True, default=None)
    """The session in which it was allowed; without `offline_access`, the grant ends with it."""
    scopes: Mapped[list[str]] = mapped_column(JSON)
    auth_time: Mapped[datetime]
    acr: Mapped[str | None] = mapped_column(String(255), default=None)
    amr: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    """When a token was last issued for it, to a minute."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends, however much it is used."""
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_because: Mapped[str | None] = mapped_column(String(32), default=None)

    @property
    def is_offline(self) -> bool:
        """Return whether it outlives the session in which it was allowed."""
        return "offline_access" in self.scopes

    def is_good(self, now: datetime) -> bool:
        """Return whether tokens may be issued for it, and whether those that were are good."""
        return self.revoked_at is None and now < self.expires_at


class OAuthCode(Base):
    """One authorization code; it stays when it is used, so that a second use is noticed."""

    __tablename__: ClassVar[Any] = "oauth_code"

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    grant_id: Mapped[str] = mapped_column(
        ForeignKey("oauth_grant.id", ondelete="CASCADE"), index=True
    )
    redirect_uri: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str | None] = mapped_column(Text, default=None)
    code_challenge: Mapped[str] = mapped_column(String(43))
    """Of the method `S256`; there is no other."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    consumed_at: Mapped[datetime | None] = mapped_column(default=None)


class OAuthRefreshToken(Base):
    """One refresh token; it stays when it is used, so that a second use is noticed."""

    __tablename__: ClassVar[Any] = "oauth_refresh_token"

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    grant_id: Mapped[str] = mapped_column(
        ForeignKey("oauth_grant.id", ondelete="CASCADE"), index=True
    )
    parent_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH), default=None)
    """The token that it was exchanged for."""
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends if it is not used."""
    used_at: Mapped[datetime | None] = mapped_column(default=None)


class OAuthUsedAssertion(Base):
    """A JWT that a client has proved with who it is, which counts once (RFC 7523, section 3)."""

    __tablename__: ClassVar[Any] = "oauth_used_assertion"

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    """SHA-256 of the client and of its `jti`."""
    expires_at: Mapped[datetime] = mapped_column(index=True)

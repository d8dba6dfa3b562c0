"""What is stored of the keys that tokens are signed with. The models of a service import it."""

from datetime import datetime
from typing import Any, ClassVar

from fastapi_baseline._extras import optional
from fastapi_baseline.persistence import Base

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import JSON, String, Text
    from sqlalchemy.orm import Mapped, mapped_column

KID_LENGTH = 64


class OAuthSigningKey(Base):
    """One key: what everybody may know of it, and what nobody may, encrypted.

    Times alone say what it is good for, so that all processes agree without being told.
    """

    __tablename__: ClassVar[Any] = "oauth_signing_key"

    kid: Mapped[str] = mapped_column(String(KID_LENGTH), primary_key=True)
    """Its thumbprint (RFC 7638)."""
    algorithm: Mapped[str] = mapped_column(String(16))
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
    private_jwk: Mapped[str] = mapped_column(Text)
    """As JWE, by the first of the secret keys of the service."""
    created_at: Mapped[datetime]
    activates_at: Mapped[datetime]
    """From when on it signs, until the next one does; it is published before."""
    retires_at: Mapped[datetime | None] = mapped_column(default=None)
    """From when on it is not published any more; not known of the newest."""

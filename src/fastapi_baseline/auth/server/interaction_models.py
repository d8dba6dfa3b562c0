"""What is stored of people who are asked something, and of what they have agreed to."""

from datetime import datetime
from typing import Any, ClassVar

from fastapi_baseline._extras import optional
from fastapi_baseline.persistence import Base

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import JSON, String
    from sqlalchemy.orm import Mapped, mapped_column

_DIGEST_LENGTH = 64
_ID_LENGTH = 32
_CLIENT_ID_LENGTH = 64
_SUBJECT_LENGTH = 255


class OAuthInteraction(Base):
    """One request for authorization, as it was when it came; nothing of it is asked for again.

    `id` is in the address of the page, and opens it in one browser only: that with the cookie whose
    SHA-256 `browser_digest` is.
    """

    __tablename__: ClassVar[Any] = "oauth_interaction"

    id: Mapped[str] = mapped_column(String(_ID_LENGTH), primary_key=True)
    browser_digest: Mapped[str] = mapped_column(String(_DIGEST_LENGTH))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The request, which was found to be good."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OAuthConsent(Base):
    """What one user has agreed that one client may do, and is not asked again."""

    __tablename__: ClassVar[Any] = "oauth_consent"

    issuer: Mapped[str] = mapped_column(String(_SUBJECT_LENGTH), primary_key=True)
    subject: Mapped[str] = mapped_column(String(_SUBJECT_LENGTH), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(_CLIENT_ID_LENGTH), primary_key=True, index=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    granted_at: Mapped[datetime]
    """When they last agreed to something."""

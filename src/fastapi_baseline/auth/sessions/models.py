"""The table of sessions. The models of a service import it, so that its migrations know it."""

from datetime import datetime
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.persistence import Base

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import JSON, Index, String
    from sqlalchemy.orm import Mapped, mapped_column


class AuthSession(Base):
    """One session, under the digest of what is in the cookie."""

    __table_args__ = (
        Index(None, "issuer", "subject"),
        Index(None, "expires_at"),
    )

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    client_id: Mapped[str | None]
    scopes: Mapped[list[Any]] = mapped_column(JSON)
    roles: Mapped[list[Any]] = mapped_column(JSON)
    auth_time: Mapped[datetime | None]
    acr: Mapped[str | None]
    amr: Mapped[list[Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    user_agent: Mapped[str | None]
    address: Mapped[str | None]

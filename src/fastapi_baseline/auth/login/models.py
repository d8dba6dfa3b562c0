"""The tables of signing in with a provider. The models of a service import them, for its migrations."""

from datetime import datetime

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login.store import MAX_KEY_LENGTH
from fastapi_baseline.persistence import Base

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import ForeignKey, String, Text
    from sqlalchemy.orm import Mapped, mapped_column


class AuthLoginEntry(Base):
    """A value that is kept for a while."""

    key: Mapped[str] = mapped_column(String(MAX_KEY_LENGTH), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuthLoginGroup(Base):
    """By what else a value is found; it goes with the value."""

    name: Mapped[str] = mapped_column(String(MAX_KEY_LENGTH), primary_key=True)
    entry_key: Mapped[str] = mapped_column(
        ForeignKey(AuthLoginEntry.key, ondelete="CASCADE"), primary_key=True, index=True
    )

"""What is stored of keys: everything but the keys."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.api_keys.keys import DIGEST_LENGTH, ID_LENGTH
from fastapi_baseline.persistence import Base

NAME_LENGTH = 100
SUBJECT_LENGTH = 255


class ApiKey(Base):
    """One key: SHA-256 of its secret, whose it is, and what it may do.

    `id` is part of the key, and no secret.
    """

    __tablename__: ClassVar[Any] = "auth_api_key"
    __table_args__: ClassVar[Any] = (Index(None, "subject", "issuer"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """What it is for, in the words of who asked for it."""
    issuer: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """With `issuer`, whose it is: who sends it is that principal."""
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(SUBJECT_LENGTH * 2 + 1), default=None)
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    """From when on it is worth nothing; never, if it is empty."""
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it was last used, to a minute; a process that is killed forgets the last one."""
    replaced_by: Mapped[str | None] = mapped_column(String(ID_LENGTH), default=None)
    """The key that it was exchanged for."""

    def is_good(self, now: datetime) -> bool:
        """Return whether it lets anybody in."""
        is_over = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not is_over

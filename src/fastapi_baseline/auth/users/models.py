"""What is stored of users."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, String, inspect
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base

_ADDRESS_LENGTH = 254
_DIGEST_LENGTH = 64


class UserRecord:
    """What the library knows of a user: `class User(Base, UUIDPrimaryKey, Timestamps, UserRecord)`.

    The service adds its own columns. Only `UserService` writes those below.
    """

    email: Mapped[str] = mapped_column(String(_ADDRESS_LENGTH), unique=True)
    """The address, normalised: in ASCII and lower case."""
    email_verified_at: Mapped[datetime | None] = mapped_column(default=None)
    password_hash: Mapped[str | None] = mapped_column(String(255), default=None)
    """None of who was invited and has not chosen a password yet."""
    password_changed_at: Mapped[datetime | None] = mapped_column(default=None)
    is_password_short: Mapped[bool] = mapped_column(default=False)
    """Whether the password is good enough only together with a second factor, which then cannot be
    given up."""
    failed_attempts: Mapped[int] = mapped_column(default=0)
    """Failures in a row, from devices that the user has never signed in from."""
    disabled_at: Mapped[datetime | None] = mapped_column(default=None)
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)


class OneTimeToken(Base):
    """A link of a letter: SHA-256 of its token, and what it is good for."""

    __tablename__: ClassVar[Any] = "auth_one_time_token"

    digest: Mapped[str] = mapped_column(String(_DIGEST_LENGTH), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    bound_to: Mapped[str] = mapped_column(String(_DIGEST_LENGTH))
    """SHA-256 of the address and the time of the last password change: with either, links die."""
    password_hash: Mapped[str | None] = mapped_column(String(255), default=None)
    """The password of the registration that the link confirms."""
    is_password_short: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    consumed_at: Mapped[datetime | None] = mapped_column(default=None)


def subject_of(user: UserRecord) -> str:
    """Return the subject of a user: the primary key as text."""
    identity = inspect(user, raiseerr=True).identity
    if identity is None:
        raise ValueError("A user who is not stored has no subject.")
    return str(identity[0])

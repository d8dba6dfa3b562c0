"""What is stored of second factors."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base

_SUBJECT_LENGTH = 64


class SecondFactor(Base):
    """The app of a user that makes codes."""

    __tablename__: ClassVar[Any] = "auth_second_factor"

    subject: Mapped[str] = mapped_column(String(_SUBJECT_LENGTH), primary_key=True)
    secret: Mapped[str] = mapped_column(String(512))
    """As JWE; see `encryption`."""
    confirmed_at: Mapped[datetime | None] = mapped_column(default=None)
    """When a first code was right; before, nobody is asked for one."""
    last_step: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The step of the last code that was right: it and those before it count no more."""
    failed_attempts: Mapped[int] = mapped_column(default=0)
    """Wrong codes in a row, from devices that the user has never signed in from."""
    created_at: Mapped[datetime]


class RecoveryCode(Base):
    """A code that was not used yet; with its use, the row is gone."""

    __tablename__: ClassVar[Any] = "auth_recovery_code"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the code and its user."""
    subject: Mapped[str] = mapped_column(String(_SUBJECT_LENGTH), index=True)
    created_at: Mapped[datetime]

"""The tables on which the peers are probed."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The base of these tables; plain, as any service's may be."""


class Account(Base):
    """A row with a column to be ranked by, and one that nobody may see."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    rank: Mapped[int | None]
    secret: Mapped[str] = mapped_column(default="s3cret")
    orders: Mapped[list["Order"]] = relationship()


class Order(Base):
    """A row that is checked to belong to an account when its transaction is committed."""

    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", deferrable=True, initially="DEFERRED")
    )


class Document(Base):
    """A row with a version."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    version: Mapped[int] = mapped_column()
    __mapper_args__: ClassVar = {"version_id_col": version}


class Member(Base):
    """A row that is deleted softly, by the columns that fastcrud looks for."""

    __tablename__ = "member"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    is_deleted: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]


@event.listens_for(Engine, "connect")
def _check_foreign_keys(connection, _record) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()

"""Rows that are deleted and can come back."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped

from fastapi_baseline.errors import NotFoundError

# <start>
from fastapi_baseline.persistence import (
    Base,
    Repository,
    SoftDelete,
    UniqueViolationError,
    UUIDPrimaryKey,
    WriteSession,
    unique_while_present,
)


class Document(Base, UUIDPrimaryKey, SoftDelete):
    """A document; no two that are there have the same title."""

    title: Mapped[str]

    __table_args__ = (unique_while_present("title"),)


class Documents(Repository[Document]):
    """Documents, in the transaction of the caller."""


# <end>


@pytest.fixture
async def documents(session: WriteSession) -> Documents:
    documents = Documents(session)
    await documents.add(Document(title="Plan"))
    return documents


async def test_what_is_deleted_is_gone_and_comes_back(
    documents: Documents, session: WriteSession
) -> None:
    (document,) = await documents.list()

    # <start-delete>
    await documents.delete(document.id)

    gone = await documents.find(document.id)
    kept = await documents.with_deleted().get(document.id)
    # <end-delete>

    assert gone is None
    assert kept.deleted_at is not None
    assert (await session.scalars(select(Document))).all() == []

    # <start-restore>
    restored = await documents.restore(document.id)
    # <end-restore>

    assert restored.deleted_at is None
    assert await documents.count() == 1


async def test_what_is_purged_does_not_come_back(documents: Documents) -> None:
    (document,) = await documents.list()
    await documents.delete(document.id)

    # <start-purge>
    await documents.purge(document.id)
    rest = await documents.purge_where(before=datetime(2026, 1, 1, tzinfo=UTC))
    # <end-purge>

    assert (await documents.with_deleted().count(), rest) == (0, 0)
    with pytest.raises(NotFoundError):
        await documents.restore(document.id)


async def test_a_title_is_free_again(documents: Documents, session: WriteSession) -> None:
    (document,) = await documents.list()
    await documents.delete(document.id)

    await documents.add(Document(title="Plan"))

    with pytest.raises(UniqueViolationError):
        async with session.begin_nested():
            await documents.restore(document.id)

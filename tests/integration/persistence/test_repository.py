# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, Select, String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_baseline.errors import ConfigurationError, NotFoundError
from fastapi_baseline.ids import uuid7
from fastapi_baseline.persistence import (
    Base,
    Database,
    ForeignKeyViolationError,
    ReadRepository,
    Repository,
    StaleEntityError,
    Timestamps,
    UniqueViolationError,
    UnknownAttributeError,
    UUIDPrimaryKey,
)
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Shelf(Base, UUIDPrimaryKey):
    label: Mapped[str] = mapped_column("shelf_label", String(20), unique=True)
    rolls: Mapped[list["Roll"]] = relationship(cascade="all, delete-orphan")


class Roll(Base, UUIDPrimaryKey):
    shelf_id: Mapped[UUID] = mapped_column(ForeignKey("shelf.id"))


class Book(Base, UUIDPrimaryKey, Timestamps):
    title: Mapped[str] = mapped_column(String(50), unique=True)
    copies: Mapped[int] = mapped_column(default=1)


class Loan(Base, UUIDPrimaryKey):
    book_id: Mapped[UUID] = mapped_column(ForeignKey("book.id"))


class Seat(Base):
    room: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    taken: Mapped[bool] = mapped_column(default=False)


class Draft(Base, UUIDPrimaryKey):
    text: Mapped[str]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class BookReader(ReadRepository[Book]):
    pass


class BookRepository(BookReader, Repository[Book]):
    pass


class ShelfRepository(Repository[Shelf]):
    pass


class SeatRepository(Repository[Seat]):
    pass


class DraftRepository(Repository[Draft]):
    pass


class RareBookRepository(Repository[Book]):
    def select(self) -> Select[Book]:
        return super().select().where(Book.copies == 1)


class RareSeatRepository(Repository[Seat]):
    def select(self) -> Select[Seat]:
        return super().select().where(Seat.taken.is_(False))


async def _add_books(database: Database, *titles: str, copies: int = 1) -> list[Book]:
    async with database.transaction() as session:
        books = [Book(title=title, copies=copies) for title in titles]
        return [*await BookRepository(session).add_many(books)]


async def _titles(database: Database) -> list[str]:
    async with database.read_transaction() as session:
        return [book.title for book in await BookReader(session).list(order_by=Book.title)]


async def test_adds_an_entity_with_one_statement(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            book = await BookRepository(session).add(Book(title="Emma"))

    assert len(sent) == 1
    assert isinstance(book.id, UUID)
    assert book.copies == 1
    assert book.created_at == book.updated_at == clock.now()
    assert await _titles(database) == ["Emma"]


async def test_adds_many_entities_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            books = await BookRepository(session).add_many(
                Book(title=f"Volume {number}") for number in range(500)
            )

    assert len(sent) == 1
    assert len(books) == len(await _titles(database)) == 500


async def test_gets_a_loaded_entity_without_a_statement(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        books = BookRepository(session)
        book = await books.add(Book(title="Emma"))

        with statements() as sent:
            found = await books.get(book.id)

    assert found is book
    assert sent == []


async def test_gets_an_entity_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    [book] = await _add_books(database, "Emma")

    async with database.transaction() as session:
        with statements() as sent:
            found = await BookRepository(session).get(book.id)

    assert found.title == "Emma"
    assert len(sent) == 1


async def test_says_that_there_is_no_such_entity(database: Database) -> None:
    async with database.transaction() as session:
        books = BookRepository(session)

        assert await books.find(uuid4()) is None
        with pytest.raises(NotFoundError):
            await books.get(uuid4())
        with pytest.raises(NotFoundError):
            await books.update(uuid4(), {"title": "Emma"})
        with pytest.raises(NotFoundError):
            await books.update(uuid4(), {})
        with pytest.raises(NotFoundError):
            await books.delete(uuid4())


async def test_tells_whether_an_entity_exists_without_counting(
    database: Database, statements: StatementLog
) -> None:
    await _add_books(database, "Emma", "Persuasion")

    async with database.transaction() as session:
        books = BookRepository(session)
        with statements() as sent:
            found = await books.exists(Book.title == "Emma")
            missing = await books.exists(Book.title == "Ulysses")

    assert (found, missing) == (True, False)
    assert len(sent) == 2
    assert sent[0].startswith("SELECT EXISTS (SELECT")
    assert "count" not in sent[0]


async def test_counts_what_meets_all_conditions(database: Database) -> None:
    await _add_books(database, "Emma", "Persuasion", copies=1)
    await _add_books(database, "Ulysses", copies=3)

    async with database.transaction() as session:
        books = BookRepository(session)

        assert await books.count() == 3
        assert await books.count(Book.copies == 1, Book.title != "Emma") == 1


async def test_lists_in_the_order_asked_for_and_then_by_key(database: Database) -> None:
    first, second, third = await _add_books(database, "C", "A", "B")

    async with database.read_transaction() as session:
        books = BookReader(session)
        by_key = await books.list()
        by_title = await books.list(order_by=Book.title)
        by_copies = await books.list(order_by=[Book.copies.desc()], limit=2, offset=1)

    assert [book.id for book in by_key] == [first.id, second.id, third.id]
    assert [book.title for book in by_title] == ["A", "B", "C"]
    # The key goes the way of what comes before it, so that one index serves.
    assert [book.id for book in by_copies] == [second.id, first.id]


@pytest.mark.parametrize(
    ("limit", "offset", "titles", "queries"),
    [
        (2, 0, ["A", "B"], 2),
        (4, 0, ["A", "B", "C"], 1),
        (3, 0, ["A", "B", "C"], 2),
        (2, 2, ["C"], 1),
        (2, 9, [], 2),
    ],
)
async def test_counts_for_a_page_only_if_it_must(
    database: Database,
    statements: StatementLog,
    *,
    limit: int,
    offset: int,
    titles: list[str],
    queries: int,
) -> None:
    await _add_books(database, "A", "B", "C")

    async with database.transaction() as session:
        with statements() as sent:
            page = await BookRepository(session).page(
                limit=limit, offset=offset, order_by=Book.title
            )

    assert [book.title for book in page.items] == titles
    assert (page.total, page.limit, page.offset) == (3, limit, offset)
    assert len(sent) == queries


async def test_a_page_of_nothing_takes_one_query(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            page = await BookRepository(session).page()

    assert (page.items, page.total) == ([], 0)
    assert len(sent) == 1


async def test_updates_by_key_with_one_statement(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    [book] = await _add_books(database, "Emma")
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        with statements() as sent:
            updated = await BookRepository(session).update(book.id, {"copies": 5})

    assert len(sent) == 1
    assert sent[0].startswith("UPDATE book SET")
    assert (updated.title, updated.copies) == ("Emma", 5)
    assert updated.updated_at == clock.now()
    assert updated.created_at == clock.now() - timedelta(hours=1)


async def test_updates_what_is_loaded_too(database: Database) -> None:
    [book] = await _add_books(database, "Emma")

    async with database.transaction() as session:
        books = BookRepository(session)
        loaded = await books.get(book.id)
        by_key = await books.update(book.id, {"copies": Book.copies + 4})
        copies_by_key = loaded.copies
        by_entity = await books.update(loaded, {"copies": 7})

    assert by_key is by_entity is loaded
    assert (copies_by_key, loaded.copies) == (5, 7)


async def test_finds_under_the_name_of_the_attribute_and_not_of_the_column(
    database: Database,
) -> None:
    async with database.transaction() as session:
        shelves = ShelfRepository(session)
        shelf = await shelves.add(Shelf(label="A1"))
        updated = await shelves.update(shelf.id, {"label": "B2"})

        assert updated.label == "B2"
        with pytest.raises(UnknownAttributeError, match="shelf_label"):
            await shelves.update(shelf.id, {"shelf_label": "C3"})


@pytest.mark.parametrize("name", ["nonsense", "id", "metadata", "rolls"])
async def test_refuses_to_set_what_is_no_settable_column(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match=name):
            await ShelfRepository(session).update(uuid4(), {name: 1})


async def test_deletes_by_key_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    [emma, _] = await _add_books(database, "Emma", "Persuasion")

    async with database.transaction() as session:
        with statements() as sent:
            await BookRepository(session).delete(emma.id)

    assert len(sent) == 1
    assert await _titles(database) == ["Persuasion"]


async def test_what_is_deleted_by_key_is_not_found_any_more(database: Database) -> None:
    async with database.transaction() as session:
        books = BookRepository(session)
        book = await books.add(Book(title="Emma"))
        await books.delete(book.id)

        assert await books.find(book.id) is None


async def test_deletes_a_loaded_entity(database: Database) -> None:
    [book] = await _add_books(database, "Emma")

    async with database.transaction() as session:
        books = BookRepository(session)
        await books.delete(await books.get(book.id))

    assert await _titles(database) == []


async def test_deletes_what_goes_with_an_entity(database: Database) -> None:
    async with database.transaction() as session:
        shelf = await ShelfRepository(session).add(Shelf(label="A1", rolls=[Roll(), Roll()]))
    async with database.transaction() as session:
        rolls = Repository[Roll]
        del rolls
        shelves = ShelfRepository(session)
        loaded = await shelves.get(shelf.id)
        await session.refresh(loaded, ["rolls"])
        await shelves.delete(shelf.id)

        assert not await shelves.exists()


async def test_refuses_to_delete_what_is_referred_to(database: Database) -> None:
    [book] = await _add_books(database, "Emma")
    async with database.transaction() as session:
        session.add(Loan(book_id=book.id))

    with pytest.raises(ForeignKeyViolationError) as caught:
        async with database.transaction() as session:
            await BookRepository(session).delete(book.id)

    assert caught.value.fields == ()
    assert await _titles(database) == ["Emma"]


async def test_an_error_can_be_caught_where_it_happens(database: Database) -> None:
    await _add_books(database, "Emma")

    async with database.transaction() as session:
        books = BookRepository(session)
        with pytest.raises(UniqueViolationError):
            async with session.begin_nested():
                await books.add(Book(title="Emma"))
        await books.add(Book(title="Persuasion"))

    assert await _titles(database) == ["Emma", "Persuasion"]


async def test_keys_may_have_several_columns(database: Database) -> None:
    async with database.transaction() as session:
        seats = SeatRepository(session)
        await seats.add_many([Seat(room="A", number=1), Seat(room="A", number=2)])

        assert (await seats.get(("A", 2))).number == 2
        assert (await seats.update(("A", 1), {"taken": True})).taken
        await seats.delete(("A", 2))
        assert await seats.count() == 1
        assert [seat.number for seat in await seats.list()] == [1]


async def test_counts_versions_even_when_updated_by_key(database: Database) -> None:
    async with database.transaction() as session:
        draft = await DraftRepository(session).add(Draft(text="one"))
    async with database.transaction() as session:
        updated = await DraftRepository(session).update(draft.id, {"text": "two"})

    assert (draft.version, updated.version) == (1, 2)


async def test_does_not_overwrite_what_changed_meanwhile(database: Database) -> None:
    async with database.transaction() as session:
        draft = await DraftRepository(session).add(Draft(text="one"))
    async with database.transaction() as session:
        await DraftRepository(session).update(draft.id, {"text": "two"})

    with pytest.raises(StaleEntityError):
        async with database.transaction() as session:
            session.add(draft)
            await DraftRepository(session).update(draft, {"text": "three"})


async def test_a_narrowed_repository_neither_finds_nor_changes_the_rest(
    database: Database,
) -> None:
    [rare] = await _add_books(database, "Emma", copies=1)
    [common] = await _add_books(database, "Ulysses", copies=9)

    async with database.transaction() as session:
        everything, books = BookRepository(session), RareBookRepository(session)
        await everything.get(common.id)

        assert await books.find(common.id) is None
        assert (await books.get(rare.id)).title == "Emma"
        assert await books.count() == 1
        assert [book.title for book in await books.list()] == ["Emma"]
        assert (await books.page(limit=1)).total == 1
        assert not await books.exists(Book.title == "Ulysses")
        with pytest.raises(NotFoundError):
            await books.update(common.id, {"title": "Taken over"})
        with pytest.raises(NotFoundError):
            await books.delete(common.id)
        assert (await books.update(rare.id, {"title": "Emma II"})).title == "Emma II"
        await books.delete(rare.id)

    assert await _titles(database) == ["Ulysses"]


async def test_a_narrowed_repository_works_with_a_composite_key(database: Database) -> None:
    async with database.transaction() as session:
        await SeatRepository(session).add_many(
            [Seat(room="A", number=1, taken=True), Seat(room="A", number=2)]
        )
        seats = RareSeatRepository(session)

        with pytest.raises(NotFoundError):
            await seats.delete(("A", 1))
        await seats.delete(("A", 2))

        assert await SeatRepository(session).count() == 1


async def test_serves_models_of_any_declarative_base(database: Database) -> None:
    class Foreign(DeclarativeBase):
        pass

    class Note(Foreign):
        __tablename__ = "foreign_note"
        key: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str] = mapped_column("note_body", unique=True)

    class NoteRepository(Repository[Note]):
        pass

    async with database.engine.begin() as connection:
        await connection.run_sync(Foreign.metadata.create_all)
    async with database.transaction() as session:
        await NoteRepository(session).add(Note(body="one"))

    with pytest.raises(UniqueViolationError) as caught:
        async with database.transaction() as session:
            await NoteRepository(session).add(Note(body="one"))

    assert [field.path for field in caught.value.fields] == [("body",)]


async def test_takes_its_model_from_a_subclass_of_a_subclass(database: Database) -> None:
    class SpecialBookRepository(BookRepository):
        pass

    async with database.transaction() as session:
        assert await SpecialBookRepository(session).count() == 0


def test_refuses_to_work_without_a_model() -> None:
    class Nothing(Repository[Any]):
        pass

    del Nothing.model
    with pytest.raises(ConfigurationError, match=r"Repository\[Model\]"):
        Nothing(AsyncSession())


async def test_keys_sort_by_the_order_in_which_they_were_made(database: Database) -> None:
    books = await _add_books(database, *(f"{number}" for number in range(20)))

    assert [book.id for book in books] == sorted(book.id for book in books)
    assert uuid7() > books[-1].id

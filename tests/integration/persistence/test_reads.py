from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import BigInteger, ForeignKey, Select, event, text
from sqlalchemy.exc import InvalidRequestError, MultipleResultsFound
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from fastapi_baseline.errors import ConfigurationError, NotFoundError
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.persistence.errors import (
    HiddenColumnError,
    InvalidKeyError,
    LockTimeoutError,
    ReadOnlyTransactionError,
)
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.query.criteria import CursorQuery, ListQuery
from fastapi_baseline.persistence.reading.locking import Lock
from fastapi_baseline.persistence.reading.reads import Reads
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Genre(Enum):
    FICTION = "fiction"
    HISTORY = "history"


class Writer(Base, UUIDPrimaryKey):
    __tablename__ = "reads_writer"
    name: Mapped[str]
    novels: Mapped[list["Novel"]] = relationship(back_populates="writer")


class Novel(Base, UUIDPrimaryKey):
    __tablename__ = "reads_novel"
    title: Mapped[str]
    genre: Mapped[Genre] = mapped_column(default=Genre.FICTION)
    rating: Mapped[int | None]
    writer_id: Mapped[UUID | None] = mapped_column(ForeignKey("reads_writer.id"))
    writer: Mapped[Writer | None] = relationship(back_populates="novels")
    chapters: Mapped[list["Chapter"]] = relationship(back_populates="novel")


class Chapter(Base):
    __tablename__ = "reads_chapter"
    novel_id: Mapped[UUID] = mapped_column(ForeignKey("reads_novel.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    heading: Mapped[str] = mapped_column(default="")
    novel: Mapped[Novel] = relationship(back_populates="chapters")


class Ticket(Base):
    __tablename__ = "reads_ticket"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(default="")


class Parcel(Base):
    __tablename__ = "reads_parcel"
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class Letter(Base, UUIDPrimaryKey, SoftDelete):
    __tablename__ = "reads_letter"
    text: Mapped[str]


class ReadsVehicle(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    garage_id: Mapped[int | None] = mapped_column(ForeignKey("reads_garage.id"))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012


class Car(ReadsVehicle):
    doors: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "car"}  # noqa: RUF012


class Lorry(ReadsVehicle):
    __tablename__ = "reads_lorry"
    id: Mapped[int] = mapped_column(ForeignKey("reads_vehicle.id"), primary_key=True)
    tons: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "lorry"}  # noqa: RUF012


class Garage(Base):
    __tablename__ = "reads_garage"
    id: Mapped[int] = mapped_column(primary_key=True)
    cars: Mapped[list[Car]] = relationship()
    lorries: Mapped[list[Lorry]] = relationship()


class Writers(Reads[Writer]):
    loads = {"works": [selectinload(Writer.novels)]}  # noqa: RUF012


class Novels(Reads[Novel]):
    loads = {  # noqa: RUF012
        "detail": [selectinload(Novel.writer), selectinload(Novel.chapters)],
        "joined": [joinedload(Novel.chapters)],
    }

    def rated(self) -> Spec[Novel]:
        return Spec(Novel.rating.is_not(None))

    def with_chapters(self) -> Select[Novel]:
        return self.select().join(Novel.chapters)


class HistoryNovels(Reads[Novel]):
    def select(self) -> Select[Novel]:
        return super().select().where(Novel.genre == Genre.HISTORY)


class Chapters(Reads[Chapter]):
    pass


class Tickets(Reads[Ticket]):
    pass


class Parcels(Reads[Parcel]):
    pass


class Letters(Reads[Letter]):
    pass


class Vehicles(Reads[ReadsVehicle]):
    pass


class Cars(Reads[Car]):
    pass


class Lorries(Reads[Lorry]):
    pass


class Garages(Reads[Garage]):
    pass


class NovelQuery(ListQuery[Novel], sort=(Novel.title, Novel.rating), default_sort="-title"):
    title: str | None = None


class NovelCursorQuery(CursorQuery[Novel], sort=(Novel.title,), default_sort="title"):
    pass


class IdOut(BaseModel):
    id: UUID


class CarOut(BaseModel):
    id: int
    doors: int


class LorryOut(BaseModel):
    id: int
    tons: int
    kind: str


class GarageOut(BaseModel):
    cars: list[CarOut]
    lorries: list[LorryOut]


class TitleOut(BaseModel):
    title: str


async def _store(database: Database, *entities: Any) -> None:
    async with database.transaction() as session:
        session.add_all(entities)


def _titles(novels: Sequence[Novel]) -> list[str]:
    return [novel.title for novel in novels]


async def test_gets_an_entity_with_one_statement_and_then_with_none(
    database: Database, statements: StatementLog
) -> None:
    novel = Novel(title="Emma")
    await _store(database, novel)

    async with database.transaction() as session:
        novels = Novels(session)
        with statements() as cold:
            first = await novels.get(novel.id)
        with statements() as warm:
            second = await novels.get(novel.id)

    assert first is second
    assert first.title == "Emma"
    assert (len(cold), len(warm)) == (1, 0)


async def test_says_that_there_is_nothing_under_a_key(database: Database) -> None:
    async with database.read_transaction() as session:
        novels = Novels(session)

        assert await novels.find(uuid4()) is None
        assert await novels.find(None) is None
        with pytest.raises(NotFoundError):
            await novels.get(uuid4())


@pytest.mark.parametrize("number", [2**31, 2**62, 2**63, -(2**70), 10**40])
async def test_finds_nothing_under_a_number_that_no_row_can_have(
    database: Database, number: int
) -> None:
    async with database.transaction() as session:
        session.add(Ticket(number=1))
        await session.flush()

        assert await Tickets(session).find(number) is None
        assert await Parcels(session).find(number) is None
        with pytest.raises(NotFoundError):
            await Tickets(session).get_many([1, number])

    async with database.read_transaction() as session:
        assert await Tickets(session).count() == 1


@pytest.mark.parametrize("key", [(), (1, 2), ("A", 1, 2), "1", "ä"])
async def test_names_the_key_that_has_other_values_than_the_model(
    database: Database, key: Any
) -> None:
    async with database.read_transaction() as session:
        with pytest.raises(InvalidKeyError, match="Ticket"):
            await Tickets(session).find(key)


async def test_refuses_a_text_for_a_uuid(database: Database) -> None:
    async with database.read_transaction() as session:
        with pytest.raises(InvalidKeyError, match="UUID"):
            await Novels(session).get(str(uuid4()))


async def test_reads_by_a_key_of_several_columns(database: Database) -> None:
    novel = Novel(title="Emma", chapters=[Chapter(number=number) for number in (1, 2, 3)])
    await _store(database, novel)

    async with database.read_transaction() as session:
        chapters = Chapters(session)
        one = await chapters.get((novel.id, 2))
        two = await chapters.get_many([(novel.id, 3), (novel.id, 1)])

        assert one.number == 2
        assert [chapter.number for chapter in two] == [3, 1]
        assert await chapters.find((uuid4(), 2)) is None
        with pytest.raises(InvalidKeyError, match="novel_id, number"):
            await chapters.find(novel.id)


async def test_gets_many_with_one_statement_in_the_order_of_their_keys(
    database: Database, statements: StatementLog
) -> None:
    stored = [Novel(title=title) for title in "ABCD"]
    await _store(database, *stored)
    keys = [stored[place].id for place in (2, 0, 3, 0)]

    async with database.transaction() as session:
        with statements() as sent:
            found = await Novels(session).get_many(keys)

    assert _titles(found) == ["C", "A", "D", "A"]
    assert len(sent) == 1


async def test_gets_many_only_if_there_are_all(database: Database) -> None:
    novel = Novel(title="Emma")
    await _store(database, novel)

    async with database.read_transaction() as session:
        with pytest.raises(NotFoundError):
            await Novels(session).get_many([novel.id, uuid4()])
        assert await Novels(session).get_many([]) == []


async def test_gets_more_than_a_statement_can_have_parameters(database: Database) -> None:
    await _store(database, *(Ticket(number=number) for number in range(3)))
    keys = [*range(3)] * 11_000

    async with database.read_transaction() as session:
        found = await Tickets(session).get_many(keys)
        with pytest.raises(NotFoundError):
            await Tickets(session).get_many(range(40_000))

    assert [ticket.number for ticket in found] == keys


async def test_brings_along_what_a_load_plan_names(
    database: Database, statements: StatementLog
) -> None:
    novel = Novel(title="Emma", writer=Writer(name="Jane"), chapters=[Chapter(number=1)])
    await _store(database, novel)

    async with database.transaction() as session:
        with statements() as sent:
            found = await Novels(session).get(novel.id, load="detail")

        assert found.writer is not None
        assert found.writer.name == "Jane"
        assert [chapter.number for chapter in found.chapters] == [1]
    assert len(sent) == 3


async def test_brings_a_load_plan_along_for_what_is_loaded_already(database: Database) -> None:
    novel = Novel(title="Emma", chapters=[Chapter(number=1)])
    await _store(database, novel)

    async with database.read_transaction() as session:
        novels = Novels(session)
        [listed] = await novels.list()
        found = await novels.get(novel.id, load="detail")

        assert found is listed
        assert len(found.chapters) == 1


async def test_takes_loader_options_too(database: Database) -> None:
    await _store(database, Novel(title="Emma", chapters=[Chapter(number=1)]))

    async with database.read_transaction() as session:
        novels = Novels(session)
        [one] = await novels.list(load=selectinload(Novel.chapters))
        [two] = await novels.list(load=[joinedload(Novel.writer), joinedload(Novel.chapters)])

        assert [chapter.number for chapter in one.chapters] == [1]
        assert two.writer is None


async def test_names_the_load_plans_that_there_are(database: Database) -> None:
    async with database.read_transaction() as session:
        with pytest.raises(ConfigurationError, match=r"Novels has no load plan 'full'.*detail"):
            await Novels(session).list(load="full")
        with pytest.raises(ConfigurationError, match="none"):
            await Tickets(session).get(1, load="full")


async def test_a_load_plan_makes_no_entity_come_twice(database: Database) -> None:
    chapters = [Chapter(number=number) for number in range(3)]
    await _store(database, Novel(title="Emma", chapters=chapters), Novel(title="Lucy"))

    async with database.read_transaction() as session:
        found = await Novels(session).list(order_by=Novel.title, load="joined")

    assert _titles(found) == ["Emma", "Lucy"]
    assert [len(novel.chapters) for novel in found] == [3, 0]


async def test_loads_relations_of_a_list_with_one_statement_each(
    database: Database, statements: StatementLog
) -> None:
    for number in range(20):
        chapters = [Chapter(number=1), Chapter(number=2)]
        novel = Novel(title=f"{number}", writer=Writer(name="Jane"), chapters=chapters)
        await _store(database, novel)

    async with database.transaction() as session:
        with statements() as sent:
            found = await Novels(session).list(load="detail")

        assert sum(len(novel.chapters) for novel in found) == 40
    assert len(sent) == 3


async def _listed(novels: Novels) -> Novel:
    return (await novels.list())[0]


async def _streamed(novels: Novels) -> Novel:
    return [novel async for novel in novels.stream()][0]  # noqa: RUF015 -- not before it is closed


async def _the_one(novels: Novels) -> Novel:
    return await novels.one(novels.select())


async def _one_of_many(novels: Novels) -> Novel:
    keys = [row.id for row in await novels.list(as_=IdOut)]
    return (await novels.get_many(keys))[0]


async def _in_a_plan(novels: Novels) -> Novel:
    [writer] = await Writers(novels.session).list(load="works")
    return writer.novels[0]


@pytest.mark.parametrize("read", [_listed, _streamed, _the_one, _one_of_many, _in_a_plan])
async def test_a_relation_that_a_list_did_not_load_is_an_error(
    database: Database, read: Callable[[Novels], Awaitable[Novel]]
) -> None:
    await _store(database, Novel(title="Emma", writer=Writer(name="Jane")))

    async with database.read_transaction() as session:
        novel = await read(Novels(session))

        with pytest.raises(InvalidRequestError, match="lazy='raise'"):
            _ = novel.chapters


async def test_options_of_one_call_do_not_reach_the_next(
    database: Database, statements: StatementLog
) -> None:
    await _store(database, Novel(title="Emma"), Novel(title="Lucy"))

    async with database.transaction() as session:
        novels = Novels(session)
        with statements() as first:
            await novels.list(load="detail", order_by=Novel.title, limit=1, lock=Lock())
        with statements() as second:
            found = await novels.list()

    assert len(first) == 2
    assert len(second) == 1
    assert len(found) == 2
    assert "LIMIT" not in second[0]
    assert "FOR UPDATE" not in second[0]
    assert "title" not in second[0].partition("ORDER BY")[2]


async def test_tells_whether_something_exists_and_reads_no_column(
    database: Database, statements: StatementLog
) -> None:
    await _store(database, Novel(title="Emma"))

    async with database.transaction() as session:
        novels = Novels(session)
        with statements() as sent:
            found = await novels.exists(Novel.title == "Emma")
            missing = await novels.exists(novels.rated())

    assert (found, missing) == (True, False)
    assert len(sent) == 2
    assert sent[0].startswith("SELECT EXISTS (SELECT 1 \nFROM reads_novel \nWHERE")


async def test_counts_without_reading_columns(database: Database, statements: StatementLog) -> None:
    await _store(database, Novel(title="A", rating=1), Novel(title="B"))

    async with database.transaction() as session:
        novels = Novels(session)
        with statements() as sent:
            counts = await novels.count(), await novels.count(novels.rated())

    assert counts == (2, 1)
    assert sent[0].startswith("SELECT count(*) AS count_1 \nFROM reads_novel")


async def test_counts_what_a_narrowed_repository_lists(database: Database) -> None:
    class Joined(Reads[Novel]):
        def select(self) -> Select[Novel]:
            return super().select().join(Novel.chapters)

    class Distinct(Reads[Novel]):
        def select(self) -> Select[Novel]:
            return super().select().join(Novel.chapters).distinct()

    class Grouped(Reads[Novel]):
        def select(self) -> Select[Novel]:
            return super().select().join(Novel.chapters).group_by(Novel.id)

    class First(Reads[Novel]):
        def select(self) -> Select[Novel]:
            return super().select().order_by(Novel.title).limit(2)

    for title in "ABC":
        chapters = [Chapter(number=number) for number in range(2)]
        await _store(database, Novel(title=title, chapters=chapters))

    async with database.read_transaction() as session:
        for narrowed, number in ((Joined, 6), (Distinct, 3), (Grouped, 3), (First, 2)):
            novels = narrowed(session)

            assert await novels.count() == number == len(await novels.list())
            assert await novels.exists()


async def test_lists_in_the_order_asked_for_and_then_by_key(
    database: Database, statements: StatementLog
) -> None:
    first, second, third = (Novel(title=title, rating=1) for title in "CAB")
    await _store(database, first, second, third)

    async with database.transaction() as session:
        novels = Novels(session)
        with statements() as sent:
            by_key = await novels.list()
            by_title = await novels.list(order_by=Novel.title)
            by_rating = await novels.list(order_by=[Novel.rating.desc()], limit=2, offset=1)

    assert _titles(by_key) == ["C", "A", "B"]
    assert _titles(by_title) == ["A", "B", "C"]
    assert _titles(by_rating) == ["A", "C"]
    assert len(sent) == 3


async def test_sorts_null_alike_on_every_database(database: Database) -> None:
    await _store(database, Novel(title="A"), *(Novel(title=f"{n}", rating=n) for n in (1, 2)))

    async with database.read_transaction() as session:
        novels = Novels(session)
        up = await novels.list(order_by=Novel.rating)
        down = await novels.list(order_by=Novel.rating.desc())

    assert (_titles(up), _titles(down)) == (["1", "2", "A"], ["2", "1", "A"])


async def test_a_query_says_how_to_sort_and_how_many_to_list(database: Database) -> None:
    await _store(database, *(Novel(title=title) for title in "ABCD"))

    async with database.read_transaction() as session:
        novels = Novels(session)
        query = NovelQuery.model_validate({"limit": 2, "offset": 1})
        listed = await novels.list(query, Novel.title != "B")
        streamed = [novel async for novel in novels.stream(query)]

        assert _titles(listed) == ["C", "A"]
        assert _titles(streamed) == ["D", "C", "B", "A"]
        assert await novels.count(query) == 4


@pytest.mark.parametrize(
    "twice", [{"limit": 3}, {"offset": 3}, {"order_by": Novel.title}, {"order_by": [Novel.title]}]
)
async def test_refuses_what_a_query_says_already(database: Database, twice: dict[str, Any]) -> None:
    async with database.read_transaction() as session:
        with pytest.raises(TypeError, match="NovelQuery says"):
            await Novels(session).list(NovelQuery(), **twice)


async def test_refuses_two_queries_and_one_that_goes_by_cursors(database: Database) -> None:
    async with database.read_transaction() as session:
        novels = Novels(session)

        with pytest.raises(TypeError, match="one query"):
            await novels.list(NovelQuery(), NovelQuery())
        with pytest.raises(TypeError, match="scroll"):
            await novels.list(NovelCursorQuery())


async def test_a_statement_goes_in_and_is_as_safe_as_a_list(
    database: Database, statements: StatementLog
) -> None:
    for title, rating in (("A", 1), ("B", None), ("C", 2)):
        chapters = [Chapter(number=1, heading=title)]
        await _store(database, Novel(title=title, rating=rating, chapters=chapters))

    async with database.transaction() as session:
        rated = Policy[Novel](read=Spec(Novel.rating.is_not(None)), hidden=[Novel.genre])
        novels = Novels(session).restricted(rated)
        with statements() as sent:
            found = await novels.list(
                Chapter.heading != "X",
                statement=novels.with_chapters(),
                order_by=Novel.title.desc(),
            )
            first = await novels.one(novels.with_chapters().where(Chapter.heading == "A"))

        assert _titles(found) == ["C", "A"]
        assert first is found[1]
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = first.chapters
        with pytest.raises(InvalidRequestError, match="genre"):
            _ = first.genre
    assert len(sent) == 2
    assert "genre" not in sent[0]


async def test_an_order_replaces_that_of_the_statement(database: Database) -> None:
    await _store(database, *(Novel(title=title) for title in "BAC"))

    async with database.read_transaction() as session:
        novels = Novels(session)
        downwards = novels.select().order_by(Novel.title.desc())

        assert _titles(await novels.list(statement=downwards)) == ["C", "B", "A"]
        assert _titles(await novels.list(statement=downwards, order_by=Novel.title)) == [*"ABC"]


async def test_finds_the_one_entity_of_a_statement(database: Database) -> None:
    await _store(database, Novel(title="A"), Novel(title="B"))

    async with database.read_transaction() as session:
        novels = Novels(session)
        found = await novels.one(novels.select().where(Novel.title == "A"))

        assert found.title == "A"
        assert await novels.find_one(novels.select().where(Novel.title == "C")) is None
        with pytest.raises(NotFoundError):
            await novels.one(novels.select().where(Novel.title == "C"))
        with pytest.raises(MultipleResultsFound):
            await novels.find_one(novels.select())


async def test_a_narrowed_repository_reads_nothing_else(database: Database) -> None:
    history, fiction = Novel(title="H", genre=Genre.HISTORY), Novel(title="F")
    await _store(database, history, fiction)

    async with database.read_transaction() as session:
        await Novels(session).get(fiction.id)
        novels = HistoryNovels(session)

        assert (await novels.get(history.id)).title == "H"
        assert await novels.find(fiction.id) is None
        with pytest.raises(NotFoundError):
            await novels.get_many([history.id, fiction.id])
        assert _titles(await novels.list()) == ["H"]
        assert [novel.title async for novel in novels.stream()] == ["H"]
        assert await novels.count() == 1
        assert not await novels.exists(Novel.title == "F")


async def test_a_policy_narrows_every_read(database: Database) -> None:
    rated, unrated = Novel(title="R", rating=5), Novel(title="U")
    await _store(database, rated, unrated)

    async with database.read_transaction() as session:
        await Novels(session).get(unrated.id)
        novels = Novels(session).restricted(Policy(read=Spec(Novel.rating > 1)))

        assert (await novels.get(rated.id)).title == "R"
        assert await novels.find(unrated.id) is None
        with pytest.raises(NotFoundError):
            await novels.get_many([rated.id, unrated.id])
        assert _titles(await novels.list()) == ["R"]
        assert [novel.title async for novel in novels.stream(as_=TitleOut)] == ["R"]
        assert await novels.find_one(novels.select().where(Novel.title == "U")) is None
        assert await novels.count() == 1
        assert not await novels.exists(Novel.title == "U")


async def test_a_hidden_column_can_neither_be_shown_nor_be_asked_by(database: Database) -> None:
    await _store(database, Novel(title="A", rating=1))

    async with database.read_transaction() as session:
        novels = Novels(session).restricted(Policy(hidden=[Novel.title]))

        with pytest.raises(HiddenColumnError):
            await novels.list(Novel.title == "A")
        with pytest.raises(HiddenColumnError):
            await novels.list(order_by=Novel.title)
        with pytest.raises(HiddenColumnError):
            await novels.list(order_by=[Novel.rating, Novel.title.desc().nulls_last()])
        with pytest.raises(HiddenColumnError):
            await novels.list(as_=TitleOut)
        with pytest.raises(HiddenColumnError):
            await novels.list(as_=TitleOut, load="detail")
        with pytest.raises(HiddenColumnError):
            await novels.list(NovelQuery())
        with pytest.raises(HiddenColumnError):
            await novels.count(NovelQuery.model_validate({"title": "A"}))


async def test_does_not_find_what_is_deleted_softly_even_if_it_is_loaded(
    database: Database, clock: ManualClock
) -> None:
    kept, gone = Letter(text="kept"), Letter(text="gone")
    await _store(database, kept, gone)

    async with database.transaction() as session:
        letters = Letters(session)
        loaded = await letters.get(gone.id)
        loaded.deleted_at = clock.now()
        await session.flush()

        assert await letters.find(gone.id) is None
        assert await letters.with_deleted().get(gone.id) is loaded
        assert await letters.count() == 1
        assert await letters.with_deleted().count() == 2
        assert [letter.text async for letter in letters.stream()] == ["kept"]

    async with database.read_transaction() as session:
        letters = Letters(session)

        assert await letters.find(gone.id) is None
        with pytest.raises(NotFoundError):
            await letters.get_many([kept.id, gone.id])
        assert (await letters.with_deleted().get(gone.id)).text == "gone"
        assert len(await letters.with_deleted().get_many([kept.id, gone.id])) == 2


async def test_a_lock_reads_fresh_values(database: Database) -> None:
    novel = Novel(title="Emma")
    await _store(database, novel)

    async with database.transaction() as session:
        novels = Novels(session)
        loaded = await novels.get(novel.id)
        await session.execute(text("UPDATE reads_novel SET title = 'Lucy'"))
        unlocked = (await novels.get(novel.id)).title
        locked = (await novels.get(novel.id, lock=Lock())).title

    assert (unlocked, locked) == ("Emma", "Lucy")
    assert loaded.title == "Lucy"


async def test_a_lock_that_is_not_waited_for_is_an_error(postgres_database: Database) -> None:
    novel = Novel(title="Emma")
    await _store(postgres_database, novel)

    async with postgres_database.transaction() as session:
        await Novels(session).get(novel.id, lock=Lock())

        with pytest.raises(LockTimeoutError):
            async with postgres_database.transaction() as other:
                await Novels(other).get(novel.id, lock=Lock(nowait=True))


async def test_rows_that_are_locked_can_be_passed_over(postgres_database: Database) -> None:
    first, second = Novel(title="A"), Novel(title="B")
    await _store(postgres_database, first, second)

    async with postgres_database.transaction() as session, postgres_database.transaction() as other:
        await Novels(session).get(first.id, lock=Lock())
        novels, free = Novels(other), Lock(skip_locked=True)

        assert await novels.find(first.id, lock=free) is None
        assert _titles(await novels.list(order_by=Novel.title, limit=1, lock=free)) == ["B"]


async def test_locks_can_be_shared(postgres_database: Database) -> None:
    novel = Novel(title="Emma")
    await _store(postgres_database, novel)
    shared = Lock(share=True, nowait=True)

    async with postgres_database.transaction() as session, postgres_database.transaction() as other:
        await Novels(session).get(novel.id, lock=shared)

        assert (await Novels(other).get(novel.id, lock=shared)).title == "Emma"


async def test_a_lock_is_on_the_entity_and_not_on_what_comes_along(
    postgres_database: Database,
) -> None:
    novel = Novel(title="Emma")
    await _store(postgres_database, novel)

    async with postgres_database.transaction() as session:
        plan = joinedload(Novel.writer)
        found = await Novels(session).get(novel.id, load=plan, lock=Lock())

        assert found.writer is None


async def test_refuses_a_lock_where_nothing_is_written(database: Database) -> None:
    async with database.read_transaction() as session:
        novels = Novels(session)

        with pytest.raises(ReadOnlyTransactionError):
            await novels.list(lock=Lock())
        with pytest.raises(ReadOnlyTransactionError):
            await novels.find(uuid4(), lock=Lock())


def test_a_lock_cannot_both_fail_and_pass_over() -> None:
    with pytest.raises(ConfigurationError):
        Lock(nowait=True, skip_locked=True)


async def test_streams_with_one_statement_and_a_batch_at_a_time(
    database: Database, statements: StatementLog
) -> None:
    await _store(database, *(Ticket(number=number) for number in range(1_000)))
    loaded: list[int] = []

    def note(ticket: Ticket, context: object) -> None:
        loaded.append(ticket.number)

    async with database.transaction() as session:
        event.listen(Ticket, "load", note)
        tickets = Tickets(session)
        with statements() as sent:
            async with aclosing(tickets.stream(order_by=Ticket.number, batch_size=10)) as stream:
                first = [(await anext(stream)).number for _ in range(15)]
        event.remove(Ticket, "load", note)

    assert first == [*range(15)]
    assert len(loaded) == 20
    assert len(sent) == 1


async def test_keeps_no_more_than_a_batch_in_memory(database: Database) -> None:
    await _store(database, *(Ticket(number=number) for number in range(500)))
    most = 0

    async with database.transaction() as session:
        tickets = Tickets(session)
        async with aclosing(tickets.stream(batch_size=20)) as stream:
            async for _ in stream:
                most = max(most, sum(1 for _ in session))

    assert 0 < most <= 60


async def test_a_stream_that_is_left_early_lets_the_transaction_go_on(
    database: Database,
) -> None:
    await _store(database, *(Ticket(number=number) for number in range(100)))

    async with database.transaction() as session:
        tickets = Tickets(session)
        async with aclosing(tickets.stream(batch_size=10)) as stream:
            async for _ in stream:
                break
        async for _ in tickets.stream(batch_size=10):
            break

        assert await tickets.count() == 100
        assert [ticket.number async for ticket in tickets.stream(batch_size=7)] == [*range(100)]


# Psycopg says, and it is right, that a cursor was left open.
@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
async def test_a_stream_that_outlives_its_transaction_does_not_hurt_the_next(
    database: Database,
) -> None:
    await _store(database, *(Ticket(number=number) for number in range(100)))
    async with database.transaction() as session:
        stream = Tickets(session).stream(batch_size=10)
        await anext(stream)

    async with database.transaction() as session:
        await Tickets(session).count()
        await stream.aclose()

        assert await Tickets(session).count() == 100


async def test_a_stream_holds_a_cursor_of_the_server_until_its_transaction_ends(
    postgres_database: Database,
) -> None:
    await _store(postgres_database, *(Ticket(number=number) for number in range(100)))
    cursors = text("SELECT count(*) FROM pg_cursors WHERE statement LIKE '%SELECT reads_ticket%'")

    async with (
        postgres_database.transaction() as session,
        aclosing(Tickets(session).stream(batch_size=10)) as stream,
    ):
        await anext(stream)
        during = await session.scalar(cursors)
    async with postgres_database.transaction() as session:
        after = await session.scalar(cursors)

    assert during - after == 1


async def test_streams_schemas_and_load_plans(database: Database) -> None:
    for number in range(5):
        chapters = [Chapter(number=1, heading=f"{number}")]
        await _store(database, Novel(title=f"{number}", chapters=chapters))

    async with database.read_transaction() as session:
        novels = Novels(session)
        schemas = [item async for item in novels.stream(as_=TitleOut, batch_size=2)]
        entities = [novel async for novel in novels.stream(load="detail", batch_size=2)]

        assert schemas == [TitleOut(title=f"{number}") for number in range(5)]
        assert [novel.chapters[0].heading for novel in entities] == [*"01234"]


async def test_a_class_that_inherits_is_not_mistaken_for_its_parent(database: Database) -> None:
    cars, lorries = [Car(id=1, doors=3)], [Lorry(id=2, tons=7)]
    await _store(database, Garage(id=1, cars=cars, lorries=lorries), ReadsVehicle(id=3))

    async with database.transaction() as session:
        assert await Vehicles(session).count() == 3
        assert await Cars(session).count() == await Lorries(session).count() == 1
        assert [vehicle.id for vehicle in await Vehicles(session).list()] == [1, 2, 3]
        assert await Cars(session).list(as_=CarOut) == [CarOut(id=1, doors=3)]
        assert await Lorries(session).list(as_=LorryOut) == [LorryOut(id=2, tons=7, kind="lorry")]
        assert not await Cars(session).exists(Car.id == 2)
        assert await Cars(session).find(2) is None
        assert (await Lorries(session).get(2, lock=Lock())).tons == 7
        assert await Garages(session).list(as_=GarageOut) == [
            GarageOut(cars=[CarOut(id=1, doors=3)], lorries=[LorryOut(id=2, tons=7, kind="lorry")])
        ]

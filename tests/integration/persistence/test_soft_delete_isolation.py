# Every way of reading that SQLAlchemy has, beside something that was deleted softly.

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Table,
    Uuid,
    delete,
    event,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    Mapped,
    Session,
    aliased,
    joinedload,
    mapped_column,
    relationship,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    with_polymorphic,
)

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]

bin_label_table = Table(
    "bin_paper_label",
    Base.metadata,
    Column("paper_id", Uuid, ForeignKey("bin_paper.id"), primary_key=True),
    Column("label_id", Uuid, ForeignKey("bin_label.id"), primary_key=True),
)


class BinLabel(Base, UUIDPrimaryKey):
    name: Mapped[str]
    papers: Mapped[list["BinPaper"]] = relationship(secondary=bin_label_table)


class BinFolder(Base, UUIDPrimaryKey, SoftDelete):
    name: Mapped[str]
    papers: Mapped[list["BinPaper"]] = relationship(back_populates="folder")


class BinPaper(Base, UUIDPrimaryKey, SoftDelete):
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="paper")
    folder_id: Mapped[UUID] = mapped_column(ForeignKey("bin_folder.id"))
    folder: Mapped[BinFolder] = relationship(back_populates="papers")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "paper"}  # noqa: RUF012


class BinMap(BinPaper):
    __tablename__ = "bin_map"

    id: Mapped[UUID] = mapped_column(ForeignKey("bin_paper.id"), primary_key=True)
    scale: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "map"}  # noqa: RUF012


KEPT, DELETED = UUID(int=1), UUID(int=2)
FOLDER, GONE_FOLDER, LABEL = UUID(int=3), UUID(int=4), UUID(int=5)
KEPT_MAP, DELETED_MAP = UUID(int=6), UUID(int=7)

deleted_one = BinPaper.name == "deleted"


@pytest.fixture
async def filled(database: Database, clock: ManualClock) -> Database:
    now = clock.now()
    async with database.transaction() as session:
        session.add(BinFolder(id=FOLDER, name="folder"))
        session.add(BinFolder(id=GONE_FOLDER, name="deleted", deleted_at=now))
        session.add(BinLabel(id=LABEL, name="label"))
        await session.flush()
        paper = {"folder_id": FOLDER}
        session.add(BinPaper(id=KEPT, name="kept", **paper))
        session.add(BinPaper(id=DELETED, name="deleted", deleted_at=now, **paper))
        paper = {"folder_id": GONE_FOLDER}
        session.add(BinMap(id=KEPT_MAP, name="kept", scale=1, **paper))
        session.add(BinMap(id=DELETED_MAP, name="deleted", scale=2, deleted_at=now, **paper))
        await session.flush()
        rows = [{"paper_id": key, "label_id": LABEL} for key in (KEPT, DELETED)]
        await session.execute(insert(bin_label_table), rows)
    return database


def sees(session: Session, statement: Any) -> bool:
    """Return whether something deleted is selected, as an entity or by its name."""
    return _has_deleted(session.scalars(statement).unique())


def finds(session: Session, statement: Any) -> bool:
    """Return whether a statement finds anything, or says so."""
    return bool(session.scalar(statement))


def _has_deleted(found: Iterable[Any]) -> bool:
    return any("deleted" in {one, getattr(one, "name", None)} for one in found)


def _in_papers(session: Session, option: Any) -> bool:
    folders = session.scalars(select(BinFolder).options(option)).unique().all()
    return _has_deleted(paper for folder in folders for paper in folder.papers)


def _in_added(session: Session) -> bool:
    label = BinLabel(name="new")
    session.add(label)
    session.flush()
    row = {"paper_id": DELETED, "label_id": label.id}
    session.execute(insert(bin_label_table), row)
    session.expire(label, ["papers"])
    return _has_deleted(label.papers)


def _in_refreshed(session: Session) -> bool:
    folder = session.get_one(BinFolder, FOLDER)
    session.refresh(folder, ["papers"])
    return _has_deleted(folder.papers)


def _in_parents(session: Session, *options: Any) -> bool:
    paper = session.scalars(select(BinMap).where(BinMap.id == KEPT_MAP).options(*options)).one()
    return _has_deleted([paper.folder])


def _in_copies(session: Session) -> bool:
    copied = select(literal(uuid4(), Uuid), BinPaper.name).where(BinPaper.id == DELETED)
    session.execute(insert(BinLabel).from_select(["id", "name"], copied))
    return finds(session, text("SELECT count(*) FROM bin_label WHERE name = 'deleted'"))


def _in_updated(session: Session) -> bool:
    session.execute(update(BinPaper).values(name="changed"))
    return not finds(session, text("SELECT count(*) FROM bin_paper WHERE name = 'deleted'"))


def _in_updated_by_keys(session: Session) -> bool:
    rows = [{"id": key, "name": "changed"} for key in (FOLDER, GONE_FOLDER)]
    session.execute(update(BinFolder), rows)
    return not finds(session, text("SELECT count(*) FROM bin_folder WHERE name = 'deleted'"))


def _in_removed(session: Session) -> bool:
    session.execute(delete(bin_label_table))
    session.execute(delete(BinPaper).where(BinPaper.kind == "paper"))
    return not finds(session, text("SELECT count(*) FROM bin_paper WHERE kind = 'paper'"))


_alias = aliased(BinPaper)
_names = select(BinPaper.name)
_of_folder = BinPaper.folder_id == BinFolder.id
_count = select(func.count(BinPaper.id)).where(_of_folder, deleted_one).scalar_subquery()
_of_deleted = select(BinPaper.folder_id).where(deleted_one)
_hierarchy = with_polymorphic(BinPaper, [BinMap])

WAYS: dict[str, Callable[[Session], bool]] = {
    "entities": lambda s: sees(s, select(BinPaper)),
    "columns": lambda s: sees(s, select(BinPaper.name)),
    "aggregate": lambda s: sees(s, select(func.min(BinPaper.name))),
    "constant": lambda s: finds(s, select(literal(1)).where(deleted_one)),
    "subclass": lambda s: sees(s, select(BinMap)),
    "hierarchy": lambda s: sees(s, select(_hierarchy)),
    "hierarchy in two": lambda s: sees(
        s, select(BinPaper).options(selectin_polymorphic(BinPaper, [BinMap]))
    ),
    "get": lambda s: s.get(BinPaper, DELETED) is not None,
    "count of a column": lambda s: finds(s, select(func.count(BinPaper.id)).where(deleted_one)),
    "count of rows": lambda s: finds(s, select(func.count() - 2).select_from(BinPaper)),
    "legacy query": lambda s: _has_deleted(s.query(BinPaper).all()),
    "legacy count": lambda s: s.query(BinPaper).where(deleted_one).count() > 0,
    "any": lambda s: finds(s, select(BinFolder.id).where(BinFolder.papers.any(deleted_one))),
    "any through a table": lambda s: finds(
        s, select(BinLabel.id).where(BinLabel.papers.any(deleted_one))
    ),
    "has": lambda s: finds(
        s, select(BinPaper.id).where(BinPaper.folder.has(BinFolder.name == "deleted"))
    ),
    "exists of a select": lambda s: finds(s, select(exists(select(1).where(deleted_one)))),
    "exists of conditions": lambda s: finds(s, select(exists().where(deleted_one))),
    "scalar subquery": lambda s: finds(s, select(_count).where(BinFolder.id == FOLDER)),
    "subquery of a condition": lambda s: finds(s, select(BinFolder.id).where(_count > 0)),
    "IN": lambda s: finds(s, select(BinFolder.id).where(BinFolder.id.in_(_of_deleted))),
    "subquery": lambda s: sees(s, select(_names.subquery().c.name)),
    "alias of a subquery": lambda s: sees(
        s, select(aliased(BinPaper, select(BinPaper).subquery()))
    ),
    "CTE": lambda s: sees(s, select(_names.cte().c.name)),
    "UNION": lambda s: sees(s, union_all(_names, _names)),
    "UNION of entities": lambda s: sees(
        s, select(BinFolder).from_statement(union_all(select(BinFolder), select(BinFolder)))
    ),
    "alias": lambda s: sees(s, select(_alias)),
    "join": lambda s: sees(s, select(BinPaper.name).join_from(BinFolder, BinPaper)),
    "join of a relationship": lambda s: sees(
        s, select(_alias.name).select_from(BinFolder).join(BinFolder.papers.of_type(_alias))
    ),
    "join through a table": lambda s: sees(
        s, select(BinPaper.name).select_from(BinLabel).join(BinLabel.papers)
    ),
    "outer join": lambda s: sees(
        s, select(BinFolder.name).select_from(BinPaper).outerjoin(BinFolder)
    ),
    "cross join": lambda s: sees(
        s, select(_alias.name).select_from(BinLabel).join(_alias, literal(value=True))
    ),
    "joinedload": lambda s: _in_papers(s, joinedload(BinFolder.papers)),
    "selectinload": lambda s: _in_papers(s, selectinload(BinFolder.papers)),
    "subqueryload": lambda s: _in_papers(s, subqueryload(BinFolder.papers)),
    "lazy load": lambda s: _has_deleted(s.get_one(BinFolder, FOLDER).papers),
    "lazy load through a table": lambda s: _has_deleted(s.get_one(BinLabel, LABEL).papers),
    "lazy load of what was added": _in_added,
    "refresh of a relationship": _in_refreshed,
    "lazy load of a parent": _in_parents,
    "joinedload of a parent": lambda s: _in_parents(s, joinedload(BinMap.folder)),
    "in portions": lambda s: _has_deleted(
        s.scalars(select(BinPaper).execution_options(yield_per=1)).all()
    ),
    "INSERT of a SELECT": _in_copies,
    "UPDATE": _in_updated,
    "UPDATE of a condition": lambda s: finds(
        s,
        update(BinLabel)
        .where(BinLabel.papers.any(deleted_one))
        .values(name="changed")
        .returning(BinLabel.id),
    ),
    "UPDATE by keys": _in_updated_by_keys,
    "DELETE": _in_removed,
}


def ways_that_see(session: Session) -> list[str]:
    found: list[str] = []
    for name, way in WAYS.items():
        savepoint = session.begin_nested()
        if way(session):
            found.append(name)
        savepoint.rollback()
        session.expunge_all()
    return found


async def test_no_way_of_reading_sees_what_is_deleted(filled: Database) -> None:
    async with filled.transaction() as session:
        found = await session.run_sync(ways_that_see)

    assert found == []


async def test_every_way_of_reading_sees_it_in_a_session_that_includes_it(
    filled: Database,
) -> None:
    async with AsyncSession(filled.engine, execution_options={INCLUDE_DELETED: True}) as session:
        found = await session.run_sync(ways_that_see)

    assert found == [*WAYS]


async def test_a_statement_that_includes_it_sees_it_and_what_it_loads_with_it(
    filled: Database,
) -> None:
    statement = select(BinFolder).options(selectinload(BinFolder.papers))
    async with filled.transaction() as session:
        folders = await session.scalars(statement.execution_options(**{INCLUDE_DELETED: True}))
        found = {(folder.name, paper.name) for folder in folders for paper in folder.papers}

    assert len(found) == 4


BEYOND_REACH: dict[str, Callable[[Session], bool]] = {
    "Table": lambda s: sees(s, select(BinPaper.__table__.c.name)),
    "text": lambda s: sees(s, text("SELECT name FROM bin_paper")),
    "entities of text": lambda s: sees(
        s, select(BinFolder).from_statement(text("SELECT * FROM bin_folder"))
    ),
}


@pytest.mark.parametrize("way", BEYOND_REACH.values(), ids=BEYOND_REACH.keys())
async def test_what_is_beyond_the_reach_of_a_session_sees_it(
    filled: Database, way: Callable[[Session], bool]
) -> None:
    async with filled.transaction() as session:
        assert await session.run_sync(way)


async def test_what_the_session_has_loaded_is_not_read_again(
    filled: Database, clock: ManualClock
) -> None:
    def look(session: Session) -> tuple[bool, bool]:
        folder = session.get_one(BinFolder, FOLDER)
        folder.deleted_at = clock.now()
        session.flush()
        paper = session.get_one(BinPaper, KEPT)
        return session.get(BinFolder, FOLDER) is folder, paper.folder is folder

    async with filled.transaction() as session:
        assert await session.run_sync(look) == (True, True)


async def test_something_deleted_can_be_refreshed(filled: Database, clock: ManualClock) -> None:
    def refresh(session: Session) -> str:
        folder = session.get_one(BinFolder, FOLDER)
        folder.deleted_at = clock.now()
        session.flush()
        session.refresh(folder)
        session.expire(folder)
        return folder.name

    async with filled.transaction() as session:
        assert await session.run_sync(refresh) == "folder"


async def test_rows_of_several_tables_are_not_updated_by_their_keys(filled: Database) -> None:
    async with filled.transaction() as session:
        with pytest.raises(ConfigurationError, match="BinMap"):
            await session.execute(update(BinMap), [{"id": KEPT_MAP, "scale": 3}])


async def test_rows_are_inserted_in_bulk(filled: Database) -> None:
    rows = [{"name": "new", "id": uuid4()} for _ in range(2)]
    async with filled.transaction() as session:
        await session.execute(insert(BinFolder), rows)
        found = await session.scalars(insert(BinFolder).returning(BinFolder), [{"name": "third"}])

    assert found.one().name == "third"


async def test_a_statement_is_compiled_once(filled: Database) -> None:
    async def read(name: str) -> None:
        async with filled.transaction() as session:
            await session.scalars(
                select(BinFolder)
                .where(BinFolder.papers.any(BinPaper.name == name))
                .options(selectinload(BinFolder.papers))
            )

    hits: list[bool] = []

    def note(*details: Any) -> None:
        hits.append(details[4].cache_hit is CacheStats.CACHE_HIT)

    await read("kept")
    event.listen(filled.engine.sync_engine, "before_cursor_execute", note)
    for name in ("kept", "deleted"):
        await read(name)

    # Of the first, what was found is loaded with a second statement.
    assert hits.count(True) == 3


async def test_says_only_once_that_something_is_not_deleted(
    filled: Database, statements: StatementLog
) -> None:
    def read(session: Session) -> None:
        folder = session.scalars(select(BinFolder).options(selectinload(BinFolder.papers))).one()
        session.expire(folder, ["papers"])
        assert len(folder.papers) == 1

    async with filled.transaction() as session:
        with statements() as sent:
            await session.run_sync(read)

    assert [statement.count("deleted_at IS NULL") for statement in sent] == [1, 1, 1]

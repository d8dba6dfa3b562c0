# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import enum
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    CheckConstraint,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.persistence import (
    Base,
    CheckViolationError,
    Database,
    DatabaseUnavailableError,
    ForeignKeyViolationError,
    InvalidTextError,
    NotNullViolationError,
    Timestamps,
    TransactionAbortedError,
    UniqueViolationError,
    UnknownAttributeError,
    UUIDPrimaryKey,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from fastapi_baseline.persistence.errors import ReadOnlyColumnError
from fastapi_baseline.persistence.models import Authorship, Versioned
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.copying import Copying
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.testing import ManualClock
from tests.tables import create_tables

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Shouted(TypeDecorator[str]):
    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.upper()


class CopySource(Base, UUIDPrimaryKey):
    name: Mapped[str] = mapped_column(unique=True)


def half_of_the_amount(context: Any) -> int:
    return context.get_current_parameters()["amount"] // 2


class CopyRecord(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned, SoftDelete):
    code: Mapped[str] = mapped_column("record_code", String(100), unique=True)
    amount: Mapped[int] = mapped_column(default=7)
    __table_args__ = (CheckConstraint(amount >= 0, name="not_negative"),)
    half: Mapped[int | None] = mapped_column(default=half_of_the_amount)
    level: Mapped[int] = mapped_column(SmallInteger, server_default="3")
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("copy_source.id"))


class CopyTypes(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None]
    shouted: Mapped[str | None] = mapped_column(Shouted)
    number: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    ratio: Mapped[float | None]
    is_on: Mapped[bool | None]
    day: Mapped[date | None]
    moment: Mapped[datetime | None]
    span: Mapped[timedelta | None]
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    key: Mapped[UUID | None]
    colour: Mapped[Colour | None]
    plain_colour: Mapped[Colour | None] = mapped_column(Enum(Colour, native_enum=False))
    document: Mapped[Any | None] = mapped_column(JSON)
    binary_document: Mapped[Any | None] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))


class PostgresOnly(DeclarativeBase):
    pass


class CopyArrays(PostgresOnly):
    __tablename__ = "copy_arrays"

    id: Mapped[int] = mapped_column(primary_key=True)
    tags: Mapped[list[str | None]] = mapped_column(ARRAY(String))
    matrix: Mapped[list[list[int]]] = mapped_column(ARRAY(Integer, dimensions=2))
    colours: Mapped[list[Colour]] = mapped_column(ARRAY(Enum(Colour, name="copy_colour")))


class CopyMade(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    made: Mapped[str] = mapped_column(default=func.lower("X"))


class CopyAnimal(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012


class CopyDog(CopyAnimal):
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class CopyCat(CopyAnimal):
    __tablename__ = "copy_cat"

    id: Mapped[int] = mapped_column(ForeignKey("copy_animal.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Records(Copying[CopyRecord]):
    pass


class Types(Copying[CopyTypes]):
    pass


class Arrays(Copying[CopyArrays]):
    pass


class Sources(Copying[CopySource]):
    pass


class Made(Copying[CopyMade]):
    pass


class Dogs(Copying[CopyDog]):
    pass


class Cats(Copying[CopyCat]):
    pass


async def stored(session: AsyncSession, model: type[Any] = CopyRecord) -> list[Any]:
    return [*await session.scalars(select(model).order_by(*model.__table__.primary_key))]


async def count(database: Database, model: type[Any] = CopyRecord) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_copies_rows_and_counts_them(database: Database) -> None:
    rows = [{"code": f"{number}", "amount": number} for number in range(25)]

    async with database.transaction() as session:
        copied = await Records(session).copy_many(rows, batch_size=10)
        found = {record.code: record.amount for record in await stored(session)}

    assert copied == 25
    assert found == {f"{number}": number for number in range(25)}


async def test_fills_in_defaults(database: Database) -> None:
    async with database.transaction() as session:
        await Records(session).copy_many([{"code": "a"}, {"code": "b", "amount": 20}])
        found = sorted(await stored(session), key=lambda record: record.code)

    assert [(one.amount, one.half, one.level) for one in found] == [(7, 3, 3), (20, 10, 3)]
    assert len({one.id for one in found}) == 2
    assert found[0].id.version == 7


async def test_rows_may_give_different_attributes(database: Database) -> None:
    rows = [{"code": "a", "level": 9}, {"code": "b"}, {"code": "c", "half": None}]
    async with database.transaction() as session:
        copied = await Records(session).copy_many(rows)
        found = {one.code: (one.level, one.half) for one in await stored(session)}

    assert copied == 3
    assert found == {"a": (9, 3), "b": (3, 3), "c": (3, None)}


async def test_stamps_rows(any_database_url: str, clock: ManualClock) -> None:
    database = Database(any_database_url, clock=clock, actor=lambda: "ann")
    await create_tables(database, __name__)
    async with database.transaction() as session:
        await Records(session).copy_many([{"code": "a"}])
        (record,) = await stored(session)
    await database.dispose()

    assert (record.created_at, record.updated_at) == (clock.now(), clock.now())
    assert (record.created_by, record.updated_by) == ("ann", "ann")
    assert (record.version, record.deleted_at) == (1, None)


async def test_keeps_when_a_row_was_created_elsewhere(
    database: Database, clock: ManualClock
) -> None:
    elsewhere = clock.now() - timedelta(days=99)
    async with database.transaction() as session:
        await Records(session).copy_many([{"code": "a", "created_at": elsewhere}])
        (record,) = await stored(session)

    assert (record.created_at, record.updated_at) == (elsewhere, elsewhere)


async def test_copies_entities_that_stay_outside_of_the_session(database: Database) -> None:
    given = [CopyRecord(code="a", amount=1), CopyRecord(code="b")]
    async with database.transaction() as session:
        copied = await Records(session).copy_many(given)

        assert not session.new
        assert given[0] not in session
    assert (copied, await count(database)) == (2, 2)


VALUES: dict[str, list[Any]] = {
    "text": ["", "a\tb\nc\r\\N\\.\\", "\\N", "ünï ☃ 🐍", " x ", '"quoted", {braces}', None],
    "number": [Decimal("123456789.123456"), Decimal("-0.5"), Decimal(0), None],
    "ratio": [1.5, -2.25e-100, 1e300, None],
    "is_on": [True, False, None],
    "day": [date(1, 1, 1), date(9999, 12, 31), None],
    "moment": [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        None,
    ],
    "span": [timedelta(days=-3, microseconds=7), timedelta(0), None],
    "data": [b"", b"\x00\xff\\\n\t", bytes(range(256)), None],
    "key": [UUID(int=0), uuid4(), None],
    "colour": [Colour.RED, Colour.BLUE, None],
    "plain_colour": [Colour.RED, None],
    "document": [{"a": [1, None, "\t\\ü"], "b": {"c": True}}, [], "text", 5, None],
    "binary_document": [{"a": [1, None, "\t\\ü"]}, [], "\\N", 5, None],
}


@pytest.mark.parametrize("name", VALUES)
async def test_values_arrive_as_they_were(database: Database, name: str) -> None:
    rows = [{"id": number, name: value} for number, value in enumerate(VALUES[name], start=1)]

    async with database.transaction() as session:
        await Types(session).copy_many(rows)
        found = [getattr(one, name) for one in await stored(session, CopyTypes)]

    assert found == VALUES[name]


async def test_values_are_stored_as_the_session_stores_them(database: Database) -> None:
    values = {name: several[0] for name, several in VALUES.items()}
    async with database.transaction() as session:
        session.add(CopyTypes(id=1, **values))
        await Types(session).copy_many([{"id": 2, **values}])
        rows = (await session.execute(text("SELECT * FROM copy_types ORDER BY id"))).all()

    assert rows[0][1:] == rows[1][1:]


async def test_types_of_the_service_apply(database: Database) -> None:
    async with database.transaction() as session:
        await Types(session).copy_many([{"id": 1, "shouted": "hey"}])
        (found,) = await stored(session, CopyTypes)

    assert found.shouted == "HEY"


async def test_arrays_arrive_as_they_were(any_postgres_url: str) -> None:
    database = Database(any_postgres_url, metadata=PostgresOnly.metadata)
    await database.create_all()
    tags = ["a,b", 'q"', "", None, "{x}", "\\", "\t", "NULL"]
    colours = [Colour.RED, Colour.BLUE]
    row = {"id": 1, "tags": tags, "matrix": [[1, 2], [3, 4]], "colours": colours}

    async with database.transaction() as session:
        await Arrays(session).copy_many([row, {**row, "id": 2, "tags": [], "matrix": []}])
        found = await stored(session, CopyArrays)
    await database.dispose()

    assert (found[0].tags, found[0].matrix) == (tags, [[1, 2], [3, 4]])
    assert found[0].colours == colours
    assert (found[1].tags, found[1].matrix) == ([], [])


async def test_copies_in_the_transaction_of_the_session(database: Database) -> None:
    with pytest.raises(RuntimeError, match="enough"):
        async with database.transaction() as session:
            await Records(session).copy_many([{"code": "a"}])
            raise RuntimeError("enough")

    assert await count(database) == 0


async def test_a_savepoint_undoes_what_was_copied(database: Database) -> None:
    async with database.transaction() as session:
        await Records(session).copy_many([{"code": "a"}])
        with pytest.raises(UniqueViolationError):
            async with session.begin_nested():
                await Records(session).copy_many([{"code": "b"}, {"code": "a"}])
        found = [record.code for record in await stored(session)]

    assert found == ["a"]


async def test_writes_what_is_pending_first(database: Database) -> None:
    async with database.transaction() as session:
        source = CopySource(id=uuid4(), name="s")
        session.add(source)
        await Records(session).copy_many([{"code": "a", "source_id": source.id}])

    assert await count(database) == 1


WRONG: dict[str, tuple[dict[str, Any], type[BaselineError], list[tuple[str, ...]]]] = {
    "unique": ({"code": "taken"}, UniqueViolationError, [("code",)]),
    "check": ({"code": "x", "amount": -1}, CheckViolationError, [("amount",)]),
    "not null": ({"code": None}, NotNullViolationError, [("code",)]),
}


@pytest.mark.parametrize(("row", "error", "paths"), WRONG.values(), ids=WRONG.keys())
async def test_names_what_is_wrong_with_a_row(
    database: Database, row: dict[str, Any], error: type[BaselineError], paths: Any
) -> None:
    with pytest.raises(error) as raised:
        async with database.transaction() as session:
            await Records(session).copy_many([{"code": "taken"}, {"amount": 1, **row}])

    assert [field.path for field in raised.value.fields] == paths
    assert await count(database) == 0


async def test_names_a_row_that_refers_to_nothing(database: Database) -> None:
    with pytest.raises(ForeignKeyViolationError):
        async with database.transaction() as session:
            await Records(session).copy_many([{"code": "a", "source_id": uuid4()}])

    assert await count(database) == 0


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"amount": 2**40}, ValueOutOfRangeError),
        ({"code": "a\x00b"}, InvalidTextError),
        ({"code": "a\ud800b"}, InvalidTextError),
        ({"code": "x" * 101}, ValueTooLongError),
    ],
)
async def test_names_a_value_that_postgres_does_not_take(
    postgres_database: Database, row: dict[str, Any], error: type[BaselineError]
) -> None:
    with pytest.raises(error):
        async with postgres_database.transaction() as session:
            await Records(session).copy_many([{"code": "a", **row}])

    assert await count(postgres_database) == 0


@pytest.mark.parametrize(
    "values", [{"amount": "many"}, {"amount": object()}, {"code": 5.5, "id": 3}]
)
async def test_a_value_of_another_type_fails_the_transaction(
    postgres_database: Database, values: dict[str, Any]
) -> None:
    with pytest.raises((TransactionAbortedError, SQLAlchemyError)):
        async with postgres_database.transaction() as session:
            await Records(session).copy_many([{"code": "a"}])
            with suppress(Exception):
                await Records(session).copy_many([{"code": "b", "half": 1, **values}])

    assert await count(postgres_database) == 0


async def test_says_that_the_connection_is_gone(
    postgres_database: Database, postgres_url: str
) -> None:
    other = Database(postgres_url)
    end = text("SELECT pg_terminate_backend(:pid)")
    with pytest.raises(DatabaseUnavailableError):
        async with postgres_database.transaction() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with other.transaction() as ending:
                await ending.execute(end, {"pid": pid})
            await Records(session).copy_many([{"code": "a"}])
    await other.dispose()

    assert await count(postgres_database) == 0


async def test_an_error_that_is_passed_over_is_not_committed(database: Database) -> None:
    with pytest.raises(TransactionAbortedError):
        async with database.transaction() as session:
            await Records(session).copy_many([{"code": "a"}])
            with pytest.raises(UniqueViolationError):
                await Records(session).copy_many([{"code": "a"}])

    assert await count(database) == 0


@pytest.mark.parametrize("name", ["colour", "source", "record_code", "metadata"])
async def test_refuses_what_is_no_attribute(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match=name):
            await Records(session).copy_many([{"code": "a", name: 1}])


async def test_refuses_a_policy_on_what_may_be_created(database: Database) -> None:
    policy = Policy[CopyRecord](read=Spec(CopyRecord.amount > 1))
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="COPY does not ask"):
            await Records(session).restricted(policy).copy_many([{"code": "a", "amount": 2}])


async def test_refuses_what_the_policy_keeps(database: Database) -> None:
    policy = Policy[CopyRecord](read_only=[CopyRecord.amount])
    async with database.transaction() as session:
        records = Records(session).restricted(policy)
        copied = await records.copy_many([{"code": "a"}])
        with pytest.raises(ReadOnlyColumnError):
            await records.copy_many([{"code": "b", "amount": 2}])

    assert copied == 1


async def test_refuses_a_default_that_is_sql(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="server_default"):
            await Made(session).copy_many([{"id": 1}])
        copied = await Made(session).copy_many([{"id": 1, "made": "y"}])

    assert copied == 1


async def test_says_of_which_class_a_row_is(database: Database) -> None:
    async with database.transaction() as session:
        await Dogs(session).copy_many([{"id": 1}, {"id": 2}])

    assert await count(database, CopyDog) == 2


async def test_refuses_a_model_in_several_tables(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="several tables"):
            await Cats(session).copy_many([{"id": 1}])


async def test_refuses_batches_of_nothing(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ValueError, match="batch"):
            await Records(session).copy_many([], batch_size=0)


async def test_copies_nothing_of_nothing(database: Database, statements: StatementLog) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            copied = await Records(session).copy_many([])

    assert (copied, sent) == (0, [])


async def test_asks_the_source_for_no_more_than_a_batch(database: Database) -> None:
    asked: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(6):
            asked.append(number)
            yield {"code": "same" if number < 4 else f"{number}"}

    with pytest.raises(UniqueViolationError):
        async with database.transaction() as session:
            await Records(session).copy_many(rows(), batch_size=2)

    assert asked == [0, 1]


async def test_the_source_may_read_from_the_session(database: Database) -> None:
    async with database.transaction() as session:
        await Records(session).copy_many([{"code": f"{number}"} for number in range(5)])

        async def doubled() -> AsyncIterator[dict[str, Any]]:
            for number in range(5):
                found = await session.scalar(
                    select(CopyRecord.code).where(CopyRecord.code == f"{number}")
                )
                yield {"code": f"{found} again"}

        copied = await Records(session).copy_many(doubled(), batch_size=2)

    assert (copied, await count(database)) == (5, 10)


async def test_closes_a_source_that_is_not_exhausted(database: Database) -> None:
    closed: list[bool] = []

    async def rows() -> AsyncGenerator[dict[str, Any]]:
        try:
            while True:
                yield {"code": "same"}
        finally:
            closed.append(True)

    with pytest.raises(UniqueViolationError):
        async with database.transaction() as session:
            await Records(session).copy_many(rows(), batch_size=2)

    assert closed == [True]


async def test_an_error_of_the_source_comes_through(database: Database) -> None:
    async def rows() -> AsyncGenerator[dict[str, Any]]:
        yield {"code": "a"}
        raise LookupError("the file ends here")

    with pytest.raises(LookupError, match="ends here"):
        async with database.transaction() as session:
            await Records(session).copy_many(rows(), batch_size=1)

    assert await count(database) == 0


async def test_memory_does_not_grow_with_the_number_of_rows(database: Database) -> None:
    async def peak_of(start: int, number: int) -> int:
        rows = ({"name": f"{start + row} {'x' * 500}"} for row in range(number))
        async with database.transaction() as session:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            await Sources(session).copy_many(rows, batch_size=200)
            return tracemalloc.get_traced_memory()[1] - before

    await peak_of(0, 200)
    tracemalloc.start()
    try:
        few = await peak_of(1_000, 400)
        many = await peak_of(10_000, 8_000)
    finally:
        tracemalloc.stop()

    assert many < 2 * few

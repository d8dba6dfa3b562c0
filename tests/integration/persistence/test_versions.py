import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import BigInteger, ForeignKey, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_baseline.errors import (
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
)
from fastapi_baseline.persistence import Base, Database, StaleEntityError, UUIDPrimaryKey
from fastapi_baseline.persistence.errors import VersionMismatchError
from fastapi_baseline.persistence.models import Timestamps, Versioned
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.preconditions import Precondition, etag_of
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.settings import DatabaseSettings
from tests.tables import create_tables

StatementLog = Callable[[], AbstractContextManager[list[str]]]
_PATIENT = DatabaseSettings(lock_timeout=timedelta(seconds=30), busy_timeout=timedelta(seconds=30))


class Charter(Base, UUIDPrimaryKey, Versioned, Timestamps):
    title: Mapped[str]
    signatures: Mapped[int] = mapped_column(default=0)


class Statute(Versioned, Base, UUIDPrimaryKey):
    title: Mapped[str]
    clauses: Mapped[list["StatuteClause"]] = relationship(cascade="all, delete-orphan")


class StatuteClause(Base, UUIDPrimaryKey):
    statute_id: Mapped[UUID] = mapped_column(ForeignKey("statute.id"))


class Bylaw(Base, UUIDPrimaryKey):
    title: Mapped[str]
    edition: Mapped[int] = mapped_column(BigInteger)
    __mapper_args__ = {"version_id_col": edition}  # noqa: RUF012


def _new_seal(seal: str | None) -> str:
    return uuid4().hex


class Decree(Base, UUIDPrimaryKey):
    title: Mapped[str]
    seal: Mapped[str] = mapped_column()
    __mapper_args__ = {  # noqa: RUF012
        "version_id_col": seal,
        "version_id_generator": _new_seal,
    }


class Motion(Base, UUIDPrimaryKey):
    title: Mapped[str]


class Verdict(Base, UUIDPrimaryKey, SoftDelete, Versioned):
    title: Mapped[str]


class Act(Base, UUIDPrimaryKey, Versioned):
    title: Mapped[str]
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "act"}  # noqa: RUF012


class Amendment(Act):
    __tablename__ = "amendment"
    id: Mapped[UUID] = mapped_column(ForeignKey("act.id"), primary_key=True)
    reason: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "amendment"}  # noqa: RUF012


class Charters(Writes[Charter]):
    pass


class Statutes(Writes[Statute]):
    pass


class Bylaws(Writes[Bylaw], ConditionalWrites[Bylaw]):
    pass


class Decrees(Writes[Decree], ConditionalWrites[Decree]):
    pass


class Motions(Writes[Motion]):
    pass


class Verdicts(Writes[Verdict]):
    pass


class Amendments(Writes[Amendment]):
    pass


class TitlePatch(BaseModel):
    title: str = ""


async def _charter(database: Database, **values: Any) -> Charter:
    async with database.transaction() as session:
        return await Charters(session).add(Charter(title="Magna", **values))


async def _read(database: Database, key: UUID) -> Charter:
    async with database.read_transaction() as session:
        return await session.get_one(Charter, key)


async def _titles(database: Database) -> list[str]:
    async with database.read_transaction() as session:
        return [*await session.scalars(select(Charter.title).order_by(Charter.title))]


def _tag(*versions: object) -> Precondition:
    return Precondition(versions=frozenset(str(version) for version in versions))


async def test_a_new_entity_has_the_first_version(database: Database) -> None:
    charter = await _charter(database, version=7)

    assert charter.version == 1
    assert etag_of(charter) == '"1"'


async def test_adds_many_entities_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            charters = await Charters(session).add_many(
                Charter(title=str(number)) for number in range(500)
            )

    assert len(sent) == 1
    assert {charter.version for charter in charters} == {1}


@pytest.mark.parametrize("expected", [1, _tag(1), _tag("other", 1, 9), Precondition(versions=None)])
async def test_updates_the_expected_version_with_one_statement(
    database: Database, statements: StatementLog, expected: Any
) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        with statements() as sent:
            updated = await Charters(session).patch(
                charter.id, TitlePatch(title="Carta"), expected_version=expected
            )

    assert len(sent) == 1
    assert (updated.title, updated.version) == ("Carta", 2)


@pytest.mark.parametrize(
    "expected", [2, 2**70, _tag(2), _tag("01"), _tag("x"), _tag(2**70), _tag("-1"), _tag("")]
)
@pytest.mark.parametrize("values", [{"title": "Carta"}, {}])
async def test_refuses_to_update_another_version(
    database: Database, statements: StatementLog, *, expected: Any, values: dict[str, Any]
) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        with statements() as sent, pytest.raises(VersionMismatchError) as caught:
            await Charters(session).update(charter.id, values, expected_version=expected)

    assert isinstance(caught.value, PreconditionFailedError)
    assert len(sent) == 2
    stored = await _read(database, charter.id)
    assert (stored.title, stored.version) == ("Magna", 1)


async def test_what_is_not_there_is_not_found_whatever_version_is_expected(
    database: Database,
) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFoundError):
            await Charters(session).update(uuid4(), {"title": "x"}, expected_version=1)
        with pytest.raises(NotFoundError):
            await Charters(session).delete(uuid4(), expected_version=1)


async def test_what_is_forbidden_says_nothing_of_versions(database: Database) -> None:
    charter = await _charter(database)
    policy = Policy[Charter](update=Spec[Charter].none(), delete=Spec[Charter].none())

    async with database.transaction() as session:
        charters = Charters(session).restricted(policy)
        with pytest.raises(ForbiddenError):
            await charters.update(charter.id, {"title": "x"}, expected_version=9)
        with pytest.raises(ForbiddenError):
            await charters.delete(charter.id, expected_version=9)


async def test_deletes_only_the_expected_version(
    database: Database, statements: StatementLog
) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        charters = Charters(session)
        with pytest.raises(VersionMismatchError):
            await charters.delete(charter.id, expected_version=2)
        with pytest.raises(VersionMismatchError):
            await charters.delete(charter, expected_version=2)
        with statements() as sent:
            await charters.delete(charter.id, expected_version=1)

    assert len(sent) == 1


async def test_deletes_only_the_expected_version_softly(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        verdicts = Verdicts(session)
        verdict = await verdicts.add(Verdict(title="guilty"))
        with pytest.raises(VersionMismatchError):
            await verdicts.delete(verdict.id, expected_version=2)
        with statements() as sent:
            await verdicts.delete(verdict.id, expected_version=1)

    assert len(sent) == 1
    assert verdict.version == 2
    assert verdict.deleted_at is not None


async def test_compares_the_version_of_a_loaded_entity(database: Database) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        charters = Charters(session)
        with pytest.raises(VersionMismatchError):
            await charters.update(charter, {"title": "x"}, expected_version=2)
        updated = await charters.update(charter, {"title": "Carta"}, expected_version=1)

    assert (updated.title, updated.version) == ("Carta", 2)


async def test_does_not_overwrite_what_changed_since_it_was_loaded(database: Database) -> None:
    stale = await _charter(database)
    async with database.transaction() as session:
        await Charters(session).update(stale.id, {"title": "Carta"})

    with pytest.raises(StaleEntityError):
        async with database.transaction() as session:
            await Charters(session).update(stale, {"title": "Overwritten"})

    assert await _titles(database) == ["Carta"]


async def test_a_loaded_entity_that_is_stale_is_not_the_expected_version(
    database: Database,
) -> None:
    stale = await _charter(database)
    other = await _charter(database)
    async with database.transaction() as session:
        await Charters(session).update(stale.id, {"title": "Carta"})
        await Charters(session).update(other.id, {"title": "Carta"})

    with pytest.raises(VersionMismatchError):
        async with database.transaction() as session:
            await Charters(session).update(stale, {"title": "x"}, expected_version=1)
    with pytest.raises(VersionMismatchError):
        async with database.transaction() as session:
            await Charters(session).delete(other, expected_version=1)

    assert await _titles(database) == ["Carta", "Carta"]


async def test_does_not_delete_what_changed_since_it_was_loaded(database: Database) -> None:
    stale = await _charter(database)
    async with database.transaction() as session:
        await Charters(session).update(stale.id, {"title": "Carta"})

    with pytest.raises(StaleEntityError):
        async with database.transaction() as session:
            await Charters(session).delete(stale)

    assert await _titles(database) == ["Carta"]


async def test_changes_an_entity_whose_attributes_are_expired(
    database: Database, statements: StatementLog
) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        charters = Charters(session)
        session.add(charter)
        session.expire(charter)
        with statements() as sent:
            await charters.update(charter, {"title": "Carta"}, expected_version=1)
        session.expire(charter)
        with pytest.raises(VersionMismatchError):
            await charters.delete(charter, expected_version=1)

    assert len(sent) == 2
    assert await _titles(database) == ["Carta"]


async def test_changes_an_entity_that_is_not_flushed_yet(database: Database) -> None:
    async with database.transaction() as session:
        charter = Charter(title="Magna")
        session.add(charter)
        updated = await Charters(session).update(charter, {"title": "Carta"}, expected_version=1)

    assert updated.version == 2
    assert await _titles(database) == ["Carta"]


async def test_an_update_by_key_makes_loaded_entities_new(database: Database) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        charters = Charters(session)
        loaded = await session.get_one(Charter, charter.id)
        await charters.update(charter.id, {"title": "Carta"})
        await charters.update(loaded, {"title": "Libertatum"})

    assert (loaded.title, loaded.version) == ("Libertatum", 3)


async def test_counts_versions_wherever_the_mixin_stands(database: Database) -> None:
    async with database.transaction() as session:
        statutes = Statutes(session)
        statute = await statutes.add(Statute(title="one", clauses=[StatuteClause()]))
        updated = await statutes.update(statute.id, {"title": "two"}, expected_version=1)

        assert updated.version == 2
        with pytest.raises(VersionMismatchError):
            await statutes.delete(statute.id, expected_version=1)
        await statutes.delete(statute.id, expected_version=2)


async def test_counts_versions_of_statements_that_no_repository_has_made(
    database: Database,
) -> None:
    charter = await _charter(database)

    async with database.transaction() as session:
        await session.execute(update(Charter).values(title="Carta"))

    assert (await _read(database, charter.id)).version == 2


async def test_counts_versions_that_a_model_declares_itself(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        bylaws = Bylaws(session)
        bylaw = await bylaws.add(Bylaw(title="one"))
        with statements() as sent:
            updated = await bylaws.update(bylaw.id, {"title": "two"}, expected_version=1)
        with pytest.raises(VersionMismatchError):
            await bylaws.update(bylaw.id, {"title": "three"}, expected_version=_tag(2**50))

    assert len(sent) == 1
    assert updated.edition == 2


async def test_counts_versions_that_a_model_declares_itself_by_condition_too(
    database: Database,
) -> None:
    async with database.transaction() as session:
        bylaws = Bylaws(session)
        bylaw = await bylaws.add(Bylaw(title="one"))
        await bylaws.update_where(Bylaw.title == "one", values={"title": "two"})

    assert (bylaw.title, bylaw.edition) == ("two", 2)


async def test_refuses_to_update_by_condition_what_makes_its_versions_itself(
    database: Database,
) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="Only the unit of work"):
            await Decrees(session).update_where(Decree.title == "one", values={"title": "two"})


async def test_versions_may_be_made_in_a_way_of_their_own(database: Database) -> None:
    async with database.transaction() as session:
        decree = await Decrees(session).add(Decree(title="one"))
    first = Precondition.parse(etag_of(decree))

    async with database.transaction() as session:
        decrees = Decrees(session)
        updated = await decrees.update(decree.id, {"title": "two"}, expected_version=first)
        with pytest.raises(VersionMismatchError):
            await decrees.update(decree.id, {"title": "three"}, expected_version=first)
        with pytest.raises(VersionMismatchError):
            await decrees.delete(decree.id, expected_version=first)
        await decrees.delete(decree.id, expected_version=Precondition.parse(etag_of(updated)))

    assert updated.title == "two"


async def test_counts_versions_of_entities_that_are_in_several_tables(database: Database) -> None:
    async with database.transaction() as session:
        amendments = Amendments(session)
        amendment = await amendments.add(Amendment(title="one", reason="none"))
        updated = await amendments.update(amendment.id, {"reason": "some"}, expected_version=1)
        with pytest.raises(VersionMismatchError):
            await amendments.update(amendment.id, {"title": "two"}, expected_version=1)

    assert updated.version == 2


async def test_refuses_to_expect_a_version_of_what_has_none(database: Database) -> None:
    async with database.transaction() as session:
        motions = Motions(session)
        motion = await motions.add(Motion(title="one"))

        with pytest.raises(ConfigurationError, match="Motion has no version"):
            await motions.update(motion.id, {"title": "two"}, expected_version=1)
        with pytest.raises(ConfigurationError, match="Motion has no version"):
            await motions.delete(motion, expected_version=Precondition(versions=None))


@pytest.mark.parametrize("name", ["version", "created_at", "updated_at"])
async def test_refuses_to_set_what_every_write_sets_itself(database: Database, name: str) -> None:
    charter = await _charter(database)

    for target in (charter.id, charter):
        async with database.transaction() as session:
            with pytest.raises(Exception, match=f"set by every write itself: {name}"):
                await Charters(session).update(target, {name: 9})


async def test_works_with_a_base_of_someone_else(database: Database) -> None:
    class Foreign(DeclarativeBase):
        __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012

    class ForeignCharter(Foreign, Versioned):
        __tablename__ = "foreign_charter"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]

    class ForeignCharters(Writes[ForeignCharter]):
        pass

    async with database.engine.begin() as connection:
        await connection.run_sync(Foreign.metadata.create_all)
    async with database.transaction() as session:
        charters = ForeignCharters(session)
        charter = await charters.add(ForeignCharter(title="one"))
        updated = await charters.update(charter.id, {"title": "two"}, expected_version=1)

    assert updated.version == 2


async def _eightfold(change: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(change())


@pytest.fixture
async def patient_database(any_database_url: str) -> Any:
    database = Database(any_database_url, settings=_PATIENT)
    await create_tables(database, __name__)
    yield database
    await database.dispose()


async def test_eight_optimistic_writers_lose_no_update(patient_database: Database) -> None:
    charter = await _charter(patient_database)
    refused = 0

    async def sign_five_times() -> None:
        nonlocal refused
        signed = 0
        while signed < 5:
            seen = await _read(patient_database, charter.id)
            try:
                async with patient_database.transaction() as session:
                    await Charters(session).update(
                        charter.id,
                        {"signatures": seen.signatures + 1},
                        expected_version=seen.version,
                    )
                signed += 1
            except VersionMismatchError:
                refused += 1

    await _eightfold(sign_five_times)

    stored = await _read(patient_database, charter.id)
    assert (stored.signatures, stored.version) == (40, 41)
    assert refused > 0


async def test_eight_writers_with_loaded_entities_lose_no_update(
    patient_database: Database,
) -> None:
    charter = await _charter(patient_database)

    async def sign_five_times() -> None:
        signed = 0
        while signed < 5:
            seen = await _read(patient_database, charter.id)
            try:
                async with patient_database.transaction() as session:
                    await Charters(session).update(seen, {"signatures": seen.signatures + 1})
                signed += 1
            except StaleEntityError:
                continue

    await _eightfold(sign_five_times)

    stored = await _read(patient_database, charter.id)
    assert (stored.signatures, stored.version) == (40, 41)


async def test_of_eight_writers_that_expect_one_version_one_succeeds(
    patient_database: Database,
) -> None:
    charter = await _charter(patient_database)
    outcomes: list[str] = []

    async def rename() -> None:
        try:
            async with patient_database.transaction() as session:
                await Charters(session).update(charter.id, {"title": "x"}, expected_version=1)
            outcomes.append("done")
        except VersionMismatchError:
            outcomes.append("refused")

    await _eightfold(rename)

    assert sorted(outcomes) == ["done", *["refused"] * 7]
    async with patient_database.read_transaction() as session:
        assert (await session.scalars(select(Charter.version))).all() == [2]

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Select,
    String,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.errors import BaselineError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence import (
    Base,
    CheckViolationError,
    Database,
    ForeignKeyViolationError,
    NotNullViolationError,
    StaleEntityError,
    UniqueViolationError,
    UnknownAttributeError,
    UUIDPrimaryKey,
    ValueTooLongError,
)
from fastapi_baseline.persistence.errors import ReadOnlyColumnError
from fastapi_baseline.persistence.models import Timestamps
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Depot(Base, UUIDPrimaryKey):
    town: Mapped[str] = mapped_column("town_name", String(20), unique=True)
    ramps: Mapped[list["Ramp"]] = relationship(cascade="all, delete-orphan")


class Ramp(Base, UUIDPrimaryKey):
    depot_id: Mapped[UUID] = mapped_column(ForeignKey("depot.id"))


class Crate(Base, UUIDPrimaryKey, Timestamps):
    label: Mapped[str] = mapped_column(String(20), unique=True)
    grams: Mapped[int] = mapped_column(default=1)
    secret: Mapped[str] = mapped_column(default="code")
    depot_id: Mapped[UUID | None] = mapped_column(ForeignKey("depot.id"))

    __table_args__ = (CheckConstraint(grams > 0, name="some"),)


class Receipt(Base, UUIDPrimaryKey):
    crate_id: Mapped[UUID] = mapped_column(ForeignKey("crate.id"))


class Berth(Base):
    dock: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    taken: Mapped[bool] = mapped_column(default=False)


class Vehicle(Base, UUIDPrimaryKey):
    plate: Mapped[str]
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012


class Lorry(Vehicle):
    __tablename__ = "lorry"
    id: Mapped[UUID] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    tons: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "lorry"}  # noqa: RUF012


class Pallet(Base, UUIDPrimaryKey, SoftDelete, Timestamps):
    name: Mapped[str]


class Depots(Writes[Depot]):
    pass


class Crates(Writes[Crate], ConditionalWrites[Crate]):
    pass


class LightCrates(Writes[Crate]):
    def select(self) -> Select[Crate]:
        return super().select().where(Crate.grams < 10)


class Berths(Writes[Berth]):
    pass


class FreeBerths(Writes[Berth]):
    def select(self) -> Select[Berth]:
        return super().select().where(Berth.taken.is_(False))


class Lorries(Writes[Lorry]):
    pass


class Pallets(Writes[Pallet]):
    pass


class CratePatch(BaseModel):
    label: str | None = None
    grams: int | None = None


async def _add_crate(database: Database, label: str = "A", **values: Any) -> Crate:
    async with database.transaction() as session:
        return await Crates(session).add(Crate(label=label, **values))


async def _stored(database: Database) -> dict[str, int]:
    async with database.read_transaction() as session:
        return {crate.label: crate.grams for crate in (await session.scalars(select(Crate))).all()}


async def test_adds_an_entity_with_one_statement(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            crate = await Crates(session).add(Crate(label="A"))

    assert len(sent) == 1
    assert isinstance(crate.id, UUID)
    assert crate.grams == 1
    assert crate.created_at == crate.updated_at == clock.now()
    assert await _stored(database) == {"A": 1}


async def test_adds_many_entities_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            crates = await Crates(session).add_many(
                Crate(label=str(number)) for number in range(500)
            )

    assert len(sent) == 1
    assert len(crates) == len(await _stored(database)) == 500


async def test_updates_by_key_with_one_statement(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    crate = await _add_crate(database)
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        with statements() as sent:
            updated = await Crates(session).update(crate.id, {"grams": 5})

    assert len(sent) == 1
    assert sent[0].startswith("UPDATE crate SET")
    assert (updated.label, updated.grams) == ("A", 5)
    assert updated.updated_at == clock.now()
    assert updated.created_at == clock.now() - timedelta(hours=1)


async def test_updates_what_is_loaded_too(database: Database) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        crates = Crates(session)
        loaded = await session.get_one(Crate, crate.id)
        by_key = await crates.update(crate.id, {"grams": Crate.grams + 4})
        grams_by_key = loaded.grams
        by_entity = await crates.update(loaded, {"grams": 7})

    assert by_key is by_entity is loaded
    assert (grams_by_key, loaded.grams) == (5, 7)


async def test_updates_a_loaded_entity_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        loaded = await session.get_one(Crate, crate.id)
        with statements() as sent:
            await Crates(session).update(loaded, {"grams": 7})

    assert len(sent) == 1
    assert await _stored(database) == {"A": 7}


async def test_updates_an_entity_of_a_transaction_that_has_ended(database: Database) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        await Crates(session).update(crate, {"grams": 7})

    assert await _stored(database) == {"A": 7}


async def test_refuses_to_update_an_entity_that_was_never_stored(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(InvalidRequestError, match="add it first"):
            await Crates(session).update(Crate(label="A"), {"grams": 7})


async def test_says_that_there_is_no_such_entity_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        crates = Crates(session)
        with statements() as sent:
            with pytest.raises(NotFoundError):
                await crates.update(uuid4(), {"grams": 1})
            with pytest.raises(NotFoundError):
                await crates.update(uuid4(), {})
            with pytest.raises(NotFoundError):
                await crates.delete(uuid4())

    assert len(sent) == 3


async def test_patches_only_what_was_sent(database: Database, statements: StatementLog) -> None:
    crate = await _add_crate(database, grams=3)

    async with database.transaction() as session:
        with statements() as sent:
            patched = await Crates(session).patch(crate.id, CratePatch(label="B"))

    assert len(sent) == 1
    assert (patched.label, patched.grams) == ("B", 3)


async def test_an_empty_patch_changes_nothing(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    crate = await _add_crate(database, grams=3)
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        with statements() as sent:
            patched = await Crates(session).patch(crate.id, CratePatch())

    assert [statement.split()[0] for statement in sent] == ["SELECT"]
    assert patched.grams == 3
    assert patched.updated_at == crate.updated_at


async def test_refuses_a_patch_of_what_the_model_does_not_have(database: Database) -> None:
    class Strange(BaseModel):
        colour: str = "red"

    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match="colour"):
            await Crates(session).patch(uuid4(), Strange(colour="blue"))


@pytest.mark.parametrize("name", ["nonsense", "id", "metadata", "ramps", "town_name"])
async def test_refuses_to_set_what_is_no_settable_column(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match=name):
            await Depots(session).update(uuid4(), {name: 1})


async def test_sets_under_the_name_of_the_attribute(database: Database) -> None:
    async with database.transaction() as session:
        depots = Depots(session)
        depot = await depots.add(Depot(town="Bonn"))
        updated = await depots.update(depot.id, {"town": "Köln"})

    assert updated.town == "Köln"


async def test_deletes_by_key_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    crate = await _add_crate(database, "A")
    await _add_crate(database, "B")

    async with database.transaction() as session:
        with statements() as sent:
            await Crates(session).delete(crate.id)

    assert len(sent) == 1
    assert await _stored(database) == {"B": 1}


async def test_what_is_deleted_by_key_is_not_loaded_any_more(database: Database) -> None:
    async with database.transaction() as session:
        crate = await Crates(session).add(Crate(label="A"))
        await Crates(session).delete(crate.id)

        assert crate not in session
        assert await session.get(Crate, crate.id) is None


async def test_deletes_a_loaded_entity(database: Database, statements: StatementLog) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        loaded = await session.get_one(Crate, crate.id)
        with statements() as sent:
            await Crates(session).delete(loaded)

    assert len(sent) == 1
    assert await _stored(database) == {}


async def test_deletes_what_goes_with_an_entity(database: Database) -> None:
    async with database.transaction() as session:
        depot = await Depots(session).add(Depot(town="Bonn", ramps=[Ramp(), Ramp()]))

    async with database.transaction() as session:
        await Depots(session).delete(depot.id)

    async with database.read_transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Ramp)) == 0


async def test_keys_may_have_several_columns(database: Database) -> None:
    async with database.transaction() as session:
        berths = Berths(session)
        await berths.add_many([Berth(dock="A", number=1), Berth(dock="A", number=2)])

        assert (await berths.update(("A", 1), {"taken": True})).taken
        await berths.delete(("A", 2))

        assert await session.scalar(select(func.count()).select_from(Berth)) == 1


async def test_a_narrowed_repository_does_not_change_the_rest(database: Database) -> None:
    light = await _add_crate(database, "light", grams=1)
    heavy = await _add_crate(database, "heavy", grams=99)

    async with database.transaction() as session:
        crates = LightCrates(session)
        loaded = await session.get_one(Crate, heavy.id)

        for target in (heavy.id, loaded):
            with pytest.raises(NotFoundError):
                await crates.update(target, {"label": "Taken over"})
            with pytest.raises(NotFoundError):
                await crates.update(target, {})
            with pytest.raises(NotFoundError):
                await crates.delete(target)
        assert (await crates.update(light.id, {"label": "B"})).label == "B"
        await crates.delete(light.id)

    assert await _stored(database) == {"heavy": 99}


async def test_a_narrowed_repository_works_with_a_composite_key(database: Database) -> None:
    async with database.transaction() as session:
        await Berths(session).add_many(
            [Berth(dock="A", number=1, taken=True), Berth(dock="A", number=2)]
        )
        berths = FreeBerths(session)

        with pytest.raises(NotFoundError):
            await berths.delete(("A", 1))
        await berths.delete(("A", 2))

        assert await session.scalar(select(func.count()).select_from(Berth)) == 1


async def test_changes_entities_that_are_in_several_tables(database: Database) -> None:
    async with database.transaction() as session:
        lorry = await Lorries(session).add(Lorry(plate="AB 1", tons=7))

    async with database.transaction() as session:
        updated = await Lorries(session).update(lorry.id, {"plate": "CD 2", "tons": 9})
        with pytest.raises(NotFoundError):
            await Lorries(session).update(uuid4(), {"tons": 1})

    assert (updated.plate, updated.tons) == ("CD 2", 9)
    async with database.transaction() as session:
        await Lorries(session).delete(lorry.id)
        assert await session.scalar(select(func.count()).select_from(Vehicle)) == 0


async def _soft(database: Database, name: str) -> Any:
    table = Pallet.__table__
    async with database.read_transaction() as session:
        return await session.scalar(select(table.c.deleted_at).where(table.c.name == name))


async def test_deletes_softly_with_one_statement(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        pallet = await Pallets(session).add(Pallet(name="A"))
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        with statements() as sent:
            await Pallets(session).delete(pallet.id)

    assert len(sent) == 1
    assert sent[0].startswith("UPDATE pallet SET")
    assert await _soft(database, "A") == clock.now()


async def test_deletes_a_loaded_entity_softly(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        pallet = await Pallets(session).add(Pallet(name="A"))
        with statements() as sent:
            await Pallets(session).delete(pallet)

    assert len(sent) == 1
    assert pallet.deleted_at == clock.now()
    assert await _soft(database, "A") == clock.now()


async def test_what_is_deleted_softly_cannot_be_deleted_or_updated_again(
    database: Database,
) -> None:
    async with database.transaction() as session:
        pallets = Pallets(session)
        pallet = await pallets.add(Pallet(name="A"))
        await pallets.delete(pallet.id)

        for target in (pallet, pallet.id):
            with pytest.raises(NotFoundError):
                await pallets.delete(target)
            with pytest.raises(NotFoundError):
                await pallets.with_deleted().delete(target)
        with pytest.raises(NotFoundError):
            await pallets.update(pallet.id, {"name": "B"})
        assert (await pallets.with_deleted().update(pallet.id, {"name": "B"})).name == "B"


# What a policy says.


_LIGHT = Spec[Crate](Crate.grams < 10)


async def test_adds_only_what_a_policy_allows(database: Database) -> None:
    async with database.transaction() as session:
        crates = Crates(session).restricted(Policy(read=_LIGHT))

        await crates.add(Crate(label="light", grams=1))
        with pytest.raises(ForbiddenError):
            await crates.add(Crate(label="heavy", grams=99))
        with pytest.raises(ForbiddenError):
            await crates.add_many([Crate(label="B"), Crate(label="C", grams=99)])

    assert await _stored(database) == {"light": 1}


async def test_looks_at_the_new_rows_of_composite_keys(database: Database) -> None:
    policy = Policy(create=Spec[Berth](Berth.number < 10))
    async with database.transaction() as session:
        berths = Berths(session).restricted(policy)

        await berths.add_many([Berth(dock="A", number=1), Berth(dock="A", number=2)])
        with pytest.raises(ForbiddenError):
            await berths.add_many([Berth(dock="B", number=1), Berth(dock="B", number=99)])

        assert await session.scalar(select(func.count()).select_from(Berth)) == 2


async def test_adds_with_a_policy_that_asks_nothing_of_new_rows_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    policy = Policy[Crate](update=Spec(Crate.grams < 10), delete=Spec[Crate].none())
    async with database.transaction() as session:
        with statements() as sent:
            await Crates(session).restricted(policy).add(Crate(label="A", grams=99))

    assert len(sent) == 1


async def test_what_cannot_be_read_cannot_be_changed_either(database: Database) -> None:
    heavy = await _add_crate(database, "heavy", grams=99)

    async with database.transaction() as session:
        crates = Crates(session).restricted(Policy(read=_LIGHT))
        loaded = await session.get_one(Crate, heavy.id)

        for target in (heavy.id, loaded):
            with pytest.raises(NotFoundError):
                await crates.update(target, {"label": "Taken over"})
            with pytest.raises(NotFoundError):
                await crates.update(target, {})
            with pytest.raises(NotFoundError):
                await crates.delete(target)

    assert await _stored(database) == {"heavy": 99}


async def test_what_can_be_read_and_not_changed_is_forbidden(database: Database) -> None:
    crate = await _add_crate(database, "theirs")
    own = Spec[Crate](Crate.label == "mine")

    async with database.transaction() as session:
        crates = Crates(session).restricted(Policy(read=_LIGHT, update=own, delete=own))
        loaded = await session.get_one(Crate, crate.id)

        for target in (crate.id, loaded):
            with pytest.raises(ForbiddenError):
                await crates.update(target, {"grams": 2})
            with pytest.raises(ForbiddenError):
                await crates.update(target, {})
            with pytest.raises(ForbiddenError):
                await crates.delete(target)

    assert await _stored(database) == {"theirs": 1}


async def test_a_row_must_be_allowed_after_an_update_too(database: Database) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        crates = Crates(session).restricted(Policy(read=_LIGHT))
        with pytest.raises(ForbiddenError):
            await crates.update(crate.id, {"grams": 99})
        loaded = await session.get_one(Crate, crate.id)
        with pytest.raises(ForbiddenError):
            await crates.update(crate.id, {"grams": 99})
        with pytest.raises(ForbiddenError):
            await crates.update(loaded, {"grams": 99})
        again = await session.get_one(Crate, crate.id)

        assert again.grams == 1
        assert (await crates.update(crate.id, {"grams": 2})).grams == 2

    assert await _stored(database) == {"A": 2}


async def test_an_unknown_answer_of_a_policy_is_a_no(database: Database) -> None:
    crate = await _add_crate(database)
    policy = Policy[Crate](
        update=Spec(Crate.depot_id.is_(None) | (Crate.grams > func.nullif(1, 1)))
    )

    async with database.transaction() as session:
        depot = await Depots(session).add(Depot(town="Bonn"))
        with pytest.raises(ForbiddenError):
            await Crates(session).restricted(policy).update(crate.id, {"depot_id": depot.id})


async def test_looks_at_rows_that_a_policy_describes_in_sql(database: Database) -> None:
    crate = await _add_crate(database)
    policy = Policy[Crate](update=Spec(literal_column("grams") < 10))

    async with database.transaction() as session:
        crates = Crates(session).restricted(policy)
        with pytest.raises(ForbiddenError):
            await crates.update(crate.id, {"grams": 99})

    assert await _stored(database) == {"A": 1}


async def test_an_update_that_cannot_change_what_a_policy_says_takes_one_statement(
    database: Database, statements: StatementLog
) -> None:
    crate = await _add_crate(database)

    async with database.transaction() as session:
        with statements() as sent:
            await Crates(session).restricted(Policy(read=_LIGHT)).update(crate.id, {"label": "B"})

    assert len(sent) == 1


async def test_a_policy_may_ask_of_other_tables(database: Database) -> None:
    async with database.transaction() as session:
        [bonn, rome] = await Depots(session).add_many([Depot(town="Bonn"), Depot(town="Rome")])
    crate = await _add_crate(database, depot_id=bonn.id)
    in_bonn = exists().where(Depot.id == Crate.depot_id, Depot.town == "Bonn")
    policy = Policy(update=Spec[Crate](in_bonn))

    async with database.transaction() as session:
        crates = Crates(session).restricted(policy)

        assert (await crates.update(crate.id, {"grams": 2})).grams == 2
        with pytest.raises(ForbiddenError):
            await crates.update(crate.id, {"depot_id": rome.id})

    async with database.read_transaction() as session:
        assert (await session.get_one(Crate, crate.id)).depot_id == bonn.id


async def test_refuses_to_set_columns_that_a_policy_keeps(database: Database) -> None:
    crate = await _add_crate(database)
    policy = Policy[Crate](read_only=[Crate.grams], hidden=[Crate.secret])

    async with database.transaction() as session:
        crates = Crates(session).restricted(policy)

        with pytest.raises(ReadOnlyColumnError) as caught:
            await crates.update(crate.id, {"grams": 2})
        with pytest.raises(ReadOnlyColumnError):
            await crates.patch(crate.id, CratePatch(grams=2))
        with pytest.raises(ReadOnlyColumnError):
            await crates.add(Crate(label="B", grams=2))
        with pytest.raises(ReadOnlyColumnError):
            await crates.update(crate.id, {"secret": "x"})
        with pytest.raises(ReadOnlyColumnError):
            await crates.update_where(Crate.label == "A", values={"grams": 2})
        await crates.add(Crate(label="C"))

    assert [field.path for field in caught.value.fields] == [("grams",)]
    assert await _stored(database) == {"A": 1, "C": 1}


async def test_does_not_load_columns_that_a_policy_hides(database: Database) -> None:
    crate = await _add_crate(database)
    policy = Policy[Crate](hidden=[Crate.secret])

    async with database.transaction() as session:
        crates = Crates(session).restricted(policy)
        updated = await crates.update(crate.id, {"grams": 2})

        assert "secret" not in vars(updated)
        with pytest.raises(InvalidRequestError):
            _ = updated.secret


# What the database refuses.

_TOO_LONG = "x" * 21


async def _refused(
    database: Database, act: Callable[[Crates, Crate], Any], label: str = "A"
) -> BaselineError:
    crate = await _add_crate(database, label)
    with pytest.raises(BaselineError) as caught:
        async with database.transaction() as session:
            await act(Crates(session), crate)
    return caught.value


def _paths(error: BaselineError) -> list[tuple[str | int, ...]]:
    return [field.path for field in error.fields]


_WAYS: dict[str, Callable[[Crates, Crate, dict[str, Any]], Any]] = {
    "update": lambda crates, crate, values: crates.update(crate.id, values),
    "update of a loaded one": lambda crates, crate, values: crates.update(crate, values),
    "patch": lambda crates, crate, values: crates.patch(crate.id, _AnyPatch.model_validate(values)),
    "update_where": lambda crates, crate, values: crates.update_where(
        Crate.id == crate.id, values=values
    ),
}


class _AnyPatch(BaseModel):
    label: Any = None
    grams: Any = None
    depot_id: Any = None


@pytest.fixture(params=[*_WAYS])
def way(request: pytest.FixtureRequest) -> Callable[[Crates, Crate, dict[str, Any]], Any]:
    return _WAYS[request.param]


async def test_tells_that_a_value_is_taken(database: Database, way: Any) -> None:
    await _add_crate(database, "B")

    error = await _refused(database, lambda crates, crate: way(crates, crate, {"label": "B"}))

    assert isinstance(error, UniqueViolationError)
    assert _paths(error) == [("label",)]


async def test_tells_that_a_value_refers_to_nothing(database: Database, way: Any) -> None:
    error = await _refused(
        database, lambda crates, crate: way(crates, crate, {"depot_id": uuid4()})
    )

    assert isinstance(error, ForeignKeyViolationError)
    # SQLite does not say which key it was.
    is_told = database.url.get_backend_name() == "postgresql"
    assert _paths(error) == ([("depot_id",)] if is_told else [])


async def test_tells_that_a_value_breaks_a_rule(database: Database, way: Any) -> None:
    error = await _refused(database, lambda crates, crate: way(crates, crate, {"grams": -1}))

    assert isinstance(error, CheckViolationError)
    assert _paths(error) == [("grams",)]


async def test_tells_that_a_value_is_missing(database: Database, way: Any) -> None:
    error = await _refused(database, lambda crates, crate: way(crates, crate, {"label": None}))

    assert isinstance(error, NotNullViolationError)
    assert _paths(error) == [("label",)]


async def test_tells_that_a_value_is_too_long(postgres_database: Database, way: Any) -> None:
    error = await _refused(
        postgres_database, lambda crates, crate: way(crates, crate, {"label": _TOO_LONG})
    )

    assert isinstance(error, ValueTooLongError)


_DELETIONS: dict[str, Callable[[Crates, Crate], Any]] = {
    "by key": lambda crates, crate: crates.delete(crate.id),
    "of a loaded one": lambda crates, crate: crates.delete(crate),
    "by condition": lambda crates, crate: crates.delete_where(Crate.id == crate.id),
}


@pytest.mark.parametrize("delete", [*_DELETIONS.values()], ids=[*_DELETIONS])
async def test_refuses_to_delete_what_is_referred_to(database: Database, delete: Any) -> None:
    async def refer_and_delete(crates: Crates, crate: Crate) -> None:
        crates.session.add(Receipt(crate_id=crate.id))
        await crates.session.flush()
        await delete(crates, crate)

    error = await _refused(database, refer_and_delete)

    assert isinstance(error, ForeignKeyViolationError)
    assert error.fields == ()
    assert await _stored(database) == {"A": 1}


async def test_an_error_can_be_caught_where_it_happens(database: Database) -> None:
    await _add_crate(database)

    async with database.transaction() as session:
        crates = Crates(session)
        with pytest.raises(UniqueViolationError):
            async with session.begin_nested():
                await crates.add(Crate(label="A"))
        await crates.add(Crate(label="B"))

    assert await _stored(database) == {"A": 1, "B": 1}


async def test_says_that_an_entity_was_removed_by_someone_else(database: Database) -> None:
    crate = await _add_crate(database)
    async with database.transaction() as session:
        await Crates(session).delete(crate.id)

    with pytest.raises(StaleEntityError):
        async with database.transaction() as session:
            await Crates(session).update(crate, {"grams": 2})

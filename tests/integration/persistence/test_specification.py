from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.persistence.reading.reads import Reads
from fastapi_baseline.persistence.specification import Spec, related
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete


class Bakery(Base, UUIDPrimaryKey, SoftDelete):
    __tablename__ = "specification_bakery"
    town: Mapped[str]
    loaves: Mapped[list["Loaf"]] = relationship(back_populates="bakery")


class Loaf(Base, UUIDPrimaryKey, SoftDelete):
    __tablename__ = "specification_loaf"
    flour: Mapped[str]
    grams: Mapped[int | None]
    bakery_id: Mapped[UUID] = mapped_column(ForeignKey("specification_bakery.id"))
    bakery: Mapped[Bakery] = relationship(back_populates="loaves")


class Loaves(ConditionalWrites[Loaf], Reads[Loaf]):
    def heavy(self) -> Spec[Loaf]:
        return Spec(Loaf.grams > 800)

    def of(self, flour: str) -> Spec[Loaf]:
        return Spec(Loaf.flour == flour)

    def from_(self, town: str) -> Spec[Loaf]:
        return related(Loaf.bakery, Spec(Bakery.town == town))


class Bakeries(Reads[Bakery]):
    pass


class FlourOut(BaseModel):
    flour: str


@pytest.fixture
async def baked(database: Database) -> Database:
    """Give a database with rye (500, 900) and spelt (900) of Ulm, and rye (None) of Bern."""
    async with database.transaction() as session:
        ulm, bern = Bakery(town="Ulm"), Bakery(town="Bern")
        ulm.loaves = [
            Loaf(flour="rye", grams=500),
            Loaf(flour="rye", grams=900),
            Loaf(flour="spelt", grams=900),
        ]
        bern.loaves = [Loaf(flour="rye", grams=None)]
        session.add_all([ulm, bern])
    return database


async def test_every_read_takes_one(baked: Database) -> None:
    async with baked.transaction() as session:
        loaves = Loaves(session)
        spec = loaves.of("rye") & loaves.heavy()

        assert await loaves.count(spec) == 1
        assert await loaves.exists(spec)
        assert [loaf.grams for loaf in await loaves.list(spec)] == [900]
        assert await loaves.list(spec, as_=FlourOut) == [FlourOut(flour="rye")]
        assert [loaf.flour async for loaf in loaves.stream(spec)] == ["rye"]
        assert (await loaves.one(loaves.select().where(spec.condition))).flour == "rye"


_HEAVY = Spec[Loaf](Loaf.grams > 800)
_RYE = Spec[Loaf](Loaf.flour == "rye")
_OF_ULM = related(Loaf.bakery, Bakery.town == "Ulm")


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (Spec.all(), 4),
        (Spec.none(), 0),
        (~Spec[Loaf].none(), 4),
        (_HEAVY | Spec.none(), 2),
        (_HEAVY & Spec.none(), 0),
        (_RYE | _HEAVY, 4),
        (~_RYE, 1),
        (_OF_ULM & _RYE, 2),
        (~_OF_ULM, 1),
    ],
)
async def test_means_the_same_on_every_database(
    baked: Database, spec: Spec[Loaf], count: int
) -> None:
    async with baked.transaction() as session:
        loaves = Loaves(session)

        assert await loaves.count(spec) == count
        assert await loaves.exists(spec) == (count > 0)
        assert len(await loaves.list(spec)) == count


async def test_bounds_what_is_updated_and_deleted(baked: Database) -> None:
    async with baked.transaction() as session:
        loaves = Loaves(session)

        updated = await loaves.update_where(
            loaves.from_("Ulm") & loaves.of("rye"), values={"grams": 1}
        )
        nothing = await loaves.update_where(Spec.none(), values={"grams": 2})
        deleted = await loaves.delete_where(~loaves.of("rye"))

        assert (updated, nothing, deleted) == (2, 0, 1)
        assert await loaves.count(Loaf.grams == 1) == 2
        assert await loaves.count() == 3


async def test_no_row_comes_twice_for_its_relations(baked: Database) -> None:
    async with baked.read_transaction() as session:
        bakeries = Bakeries(session)
        baking_rye = related(Bakery.loaves, Loaf.flour == "rye")

        assert len(await bakeries.list(baking_rye)) == 2
        assert await bakeries.count(baking_rye) == 2


async def test_relations_that_are_softly_deleted_do_not_count(baked: Database) -> None:
    async with baked.transaction() as session:
        loaves, bakeries = Loaves(session), Bakeries(session)
        for loaf in await loaves.list(loaves.of("spelt")):
            loaf.deleted_at = datetime(2026, 1, 1, tzinfo=UTC)
        await session.flush()
        with_spelt = related(Bakery.loaves, loaves.of("spelt"))

        assert await bakeries.count(with_spelt) == 0
        assert not await bakeries.exists(with_spelt)
        assert await bakeries.list(with_spelt) == []
        assert await bakeries.with_deleted().count(with_spelt) == 1

        [bern] = await bakeries.list(Bakery.town == "Bern")
        bern.deleted_at = datetime(2026, 1, 1, tzinfo=UTC)
        await session.flush()

        assert await loaves.count(loaves.from_("Bern")) == 0
        assert await loaves.count(~loaves.from_("Bern")) == 3

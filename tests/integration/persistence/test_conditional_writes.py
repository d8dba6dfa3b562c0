import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, Select, exists, insert, select, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence import (
    Base,
    Database,
    UniqueViolationError,
    UnknownAttributeError,
    UUIDPrimaryKey,
)
from fastapi_baseline.persistence.errors import HiddenColumnError, UnconditionedWriteError
from fastapi_baseline.persistence.models import Authorship, Timestamps, Versioned
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.query.criteria import ListQuery
from fastapi_baseline.persistence.query.operators import In
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Orchard(Base, UUIDPrimaryKey):
    name: Mapped[str]
    trees: Mapped[list["Tree"]] = relationship(back_populates="orchard")


class Tree(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned):
    kind: Mapped[str]
    apples: Mapped[int] = mapped_column(default=0)
    number: Mapped[int | None] = mapped_column(unique=True)
    secret: Mapped[str] = mapped_column(default="root")
    orchard_id: Mapped[UUID | None] = mapped_column(ForeignKey("orchard.id"))
    orchard: Mapped[Orchard | None] = relationship(back_populates="trees")


class Bush(Base, UUIDPrimaryKey, SoftDelete, Versioned, Timestamps):
    kind: Mapped[str]


class Plot(Base):
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    column: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    crop: Mapped[str] = mapped_column(default="none")


class Machine(Base, UUIDPrimaryKey):
    name: Mapped[str]
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "machine"}  # noqa: RUF012


class Harvester(Machine):
    __tablename__ = "harvester"
    id: Mapped[UUID] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    width: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "harvester"}  # noqa: RUF012


class TreeQuery(ListQuery[Tree]):
    kind: In[str] | None = None


class Trees(ConditionalWrites[Tree], Writes[Tree]):
    pass


class Oaks(ConditionalWrites[Tree]):
    def select(self) -> Select[Tree]:
        return super().select().where(Tree.kind == "oak")


class Bushes(ConditionalWrites[Bush]):
    pass


class Plots(ConditionalWrites[Plot]):
    pass


class Harvesters(ConditionalWrites[Harvester]):
    pass


async def _plant(database: Database, *kinds: str, **values: Any) -> list[Tree]:
    async with database.transaction() as session:
        trees = [Tree(kind=kind, **values) for kind in kinds]
        return [*await Trees(session).add_many(trees)]


async def _apples(database: Database) -> list[tuple[str, int]]:
    async with database.read_transaction() as session:
        rows = await session.execute(select(Tree.kind, Tree.apples).order_by(Tree.kind, Tree.id))
        return [(kind, apples) for kind, apples in rows]


async def test_updates_all_rows_that_meet_the_conditions_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    await _plant(database, "oak", "oak", "elm")

    async with database.transaction() as session:
        with statements() as sent:
            changed = await Trees(session).update_where(
                Tree.kind == "oak", Spec(Tree.apples == 0), values={"apples": Tree.apples + 3}
            )

    assert changed == 2
    assert len(sent) == 1
    assert await _apples(database) == [("elm", 0), ("oak", 3), ("oak", 3)]


async def test_deletes_all_rows_that_meet_the_conditions_with_one_statement(
    database: Database, statements: StatementLog
) -> None:
    await _plant(database, "oak", "oak", "elm")

    async with database.transaction() as session:
        with statements() as sent:
            deleted = await Trees(session).delete_where(Spec(Tree.kind == "oak"))

    assert deleted == 2
    assert len(sent) == 1
    assert await _apples(database) == [("elm", 0)]


async def test_conditions_may_be_about_related_rows(database: Database) -> None:
    async with database.transaction() as session:
        orchard = Orchard(name="North")
        session.add(orchard)
        await session.flush()
    await _plant(database, "oak", orchard_id=orchard.id)
    await _plant(database, "elm")
    in_the_north = Spec[Tree](Tree.orchard.has(Orchard.name == "North"))

    async with database.transaction() as session:
        trees = Trees(session)
        changed = await trees.update_where(in_the_north, values={"apples": 5})
        deleted = await trees.delete_where(~in_the_north)

    assert (changed, deleted) == (1, 1)
    assert await _apples(database) == [("oak", 5)]


@pytest.mark.parametrize(
    "where", [(), (true(),), (Spec[Tree].all(),), (Spec[Tree].all(), ~Spec[Tree].none())]
)
async def test_refuses_to_write_all_rows_by_accident(
    database: Database, where: tuple[Any, ...]
) -> None:
    await _plant(database, "oak")

    async with database.transaction() as session:
        trees = Trees(session)
        with pytest.raises(UnconditionedWriteError):
            await trees.update_where(*where, values={"apples": 1})
        with pytest.raises(UnconditionedWriteError):
            await trees.delete_where(*where)

    assert await _apples(database) == [("oak", 0)]


async def test_writes_what_a_client_asks_for_if_it_asks_for_something(database: Database) -> None:
    await _plant(database, "oak", "elm")

    async with database.transaction() as session:
        trees = Trees(session)
        with pytest.raises(UnconditionedWriteError):
            await trees.delete_where(TreeQuery())
        deleted = await trees.delete_where(TreeQuery.model_validate({"kind": ["oak"]}))

    assert deleted == 1
    assert await _apples(database) == [("elm", 0)]


async def test_writes_all_rows_if_that_is_said(database: Database) -> None:
    await _plant(database, "oak", "elm")

    async with database.transaction() as session:
        changed = await Trees(session).update_where(values={"apples": 1}, all_rows=True)
    async with database.transaction() as session:
        deleted = await Trees(session).delete_where(Spec[Tree].all(), all_rows=True)

    assert changed == deleted == 2
    assert await _apples(database) == []


async def test_stamps_what_it_updates(database: Database, clock: ManualClock) -> None:
    [tree] = await _plant(database, "oak")
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        await Trees(session).update_where(Tree.kind == "oak", values={"apples": 1})

    async with database.read_transaction() as session:
        stored = await session.get_one(Tree, tree.id)
        assert stored.version == 2
        assert stored.updated_at == clock.now()
        assert stored.created_at == tree.created_at


@pytest.mark.parametrize("name", ["version", "created_at", "updated_by", "id", "nonsense"])
async def test_refuses_to_set_what_is_no_settable_column(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match=name):
            await Trees(session).update_where(Tree.kind == "oak", values={name: 1})


async def test_changes_nothing_without_values(database: Database, statements: StatementLog) -> None:
    [tree] = await _plant(database, "oak")

    async with database.transaction() as session:
        with statements() as sent:
            changed = await Trees(session).update_where(Tree.kind == "oak", values={})

    assert (changed, sent) == (0, [])
    async with database.read_transaction() as session:
        assert (await session.get_one(Tree, tree.id)).version == 1


async def test_loaded_entities_show_what_was_written(
    database: Database, statements: StatementLog
) -> None:
    await _plant(database, "oak", "oak", "elm")

    async with database.transaction() as session:
        trees = (await session.scalars(select(Tree).order_by(Tree.kind))).all()
        with statements() as sent:
            await Trees(session).update_where(Tree.kind == "oak", values={"apples": 5})

        assert [(tree.kind, tree.apples, tree.version) for tree in trees] == [
            ("elm", 0, 1),
            ("oak", 5, 2),
            ("oak", 5, 2),
        ]
        await Trees(session).update(trees[1], {"apples": 6})

    assert len(sent) == 2


async def test_keeps_what_was_set_before_and_not_flushed(database: Database) -> None:
    [tree] = await _plant(database, "oak")

    async with database.transaction() as session:
        loaded = await session.get_one(Tree, tree.id)
        with session.no_autoflush:
            loaded.number = 7
            await Trees(session).update_where(Tree.kind == "oak", values={"apples": 5})

        assert (loaded.number, loaded.apples) == (7, 5)


async def test_keeps_relationships_that_are_loaded(database: Database) -> None:
    async with database.transaction() as session:
        session.add(Orchard(name="North", trees=[Tree(kind="oak")]))

    async with database.transaction() as session:
        tree = (await session.scalars(select(Tree))).one()
        await session.refresh(tree, ["orchard"])
        await Trees(session).update_where(Tree.kind == "oak", values={"apples": 5})

        assert tree.apples == 5
        assert tree.orchard is not None
        assert tree.orchard.name == "North"


async def test_loaded_entities_that_were_deleted_are_gone(database: Database) -> None:
    [oak, elm] = await _plant(database, "oak", "elm")

    async with database.transaction() as session:
        trees = (await session.scalars(select(Tree).order_by(Tree.kind))).all()
        await Trees(session).delete_where(Tree.kind == "oak")

        assert await session.get(Tree, oak.id) is None
        assert (await session.get_one(Tree, elm.id)) is trees[0]
        assert trees[0].kind == "elm"


async def test_loaded_entities_that_were_deleted_cannot_be_changed(database: Database) -> None:
    await _plant(database, "oak", "elm")

    async with database.transaction() as session:
        oak, elm = (await session.scalars(select(Tree).order_by(Tree.kind.desc()))).all()
        await Trees(session).delete_where(Tree.kind != "ash")

        with pytest.raises(NotFoundError):
            await Trees(session).update(oak, {"apples": 1})
        with pytest.raises(NotFoundError):
            await Trees(session).delete(elm)


async def test_loaded_entities_with_composite_keys_show_what_was_written(
    database: Database,
) -> None:
    async with database.transaction() as session:
        plots = [Plot(row=1, column=1), Plot(row=1, column=2), Plot(row=2, column=1)]
        session.add_all(plots)
        await session.flush()

        changed = await Plots(session).update_where(Plot.row == 1, values={"crop": "rye"})
        deleted = await Plots(session).delete_where(Plot.row == 2)

        assert (changed, deleted) == (2, 1)
        assert [plot.crop for plot in plots[:2]] == ["rye", "rye"]
        assert await session.get(Plot, (2, 1)) is None


async def test_deletes_softly_what_is_deleted_softly(
    database: Database, statements: StatementLog, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        session.add_all([Bush(kind="rose"), Bush(kind="rose"), Bush(kind="box")])
    clock.advance(timedelta(hours=1))

    async with database.transaction() as session:
        with statements() as sent:
            deleted = await Bushes(session).delete_where(Bush.kind == "rose")
        again = await Bushes(session).delete_where(Bush.kind == "rose")
        ever_again = await Bushes(session).with_deleted().delete_where(Bush.kind == "rose")

    assert (deleted, again, ever_again) == (2, 0, 0)
    assert len(sent) == 1
    assert sent[0].startswith("UPDATE bush SET")
    table = Bush.__table__.c
    async with database.read_transaction() as session:
        rows = await session.execute(
            select(table.kind, table.version, table.updated_at, table.deleted_at).order_by(
                table.kind
            )
        )
        box, *roses = [tuple(row) for row in rows]
    assert box == ("box", 1, clock.now() - timedelta(hours=1), None)
    assert roses == [("rose", 2, clock.now(), clock.now())] * 2


async def test_does_not_update_what_is_deleted_softly(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        rose = Bush(kind="rose")
        session.add(rose)
        await session.flush()
        bushes = Bushes(session)
        await bushes.delete_where(Bush.kind == "rose")

        assert rose.deleted_at == clock.now()
        assert await bushes.update_where(Bush.kind == "rose", values={"kind": "box"}) == 0
        widened = bushes.with_deleted()
        assert await widened.update_where(Bush.kind == "rose", values={"kind": "box"}) == 1
        assert rose.kind == "box"


async def test_a_narrowed_repository_does_not_write_the_rest(database: Database) -> None:
    await _plant(database, "oak", "elm")

    async with database.transaction() as session:
        changed = await Oaks(session).update_where(values={"apples": 1}, all_rows=True)
        deleted = await Oaks(session).delete_where(all_rows=True)

    assert (changed, deleted) == (1, 1)
    assert await _apples(database) == [("elm", 0)]


async def test_writes_only_what_a_policy_allows(database: Database) -> None:
    await _plant(database, "oak", "oak", "elm")
    await _plant(database, "ash", apples=9)
    policy = Policy[Tree](
        read=Spec(Tree.apples < 9), update=Spec(Tree.kind != "elm"), delete=Spec(Tree.kind == "elm")
    )

    async with database.transaction() as session:
        trees = Trees(session).restricted(policy)
        changed = await trees.update_where(values={"secret": "leaf"}, all_rows=True)
        deleted = await trees.delete_where(all_rows=True)

    assert (changed, deleted) == (2, 1)
    assert await _apples(database) == [("ash", 9), ("oak", 0), ("oak", 0)]


async def test_rows_must_be_allowed_after_the_update_too(
    database: Database, statements: StatementLog
) -> None:
    await _plant(database, "oak", "elm")
    await _plant(database, "ash", apples=8)
    policy = Policy[Tree](update=Spec(Tree.apples < 10))

    async with database.transaction() as session:
        trees = Trees(session).restricted(policy)
        loaded = (await session.scalars(select(Tree).order_by(Tree.kind))).all()
        with pytest.raises(ForbiddenError):
            await trees.update_where(values={"apples": Tree.apples + 5}, all_rows=True)
        apples = [tree.apples for tree in loaded]
        changed = await trees.update_where(values={"apples": Tree.apples + 1}, all_rows=True)
        del loaded
        with statements() as sent:
            await trees.update_where(values={"secret": "leaf"}, all_rows=True)

    assert apples == [8, 0, 0]
    assert changed == 3
    assert len(sent) <= 2
    assert not any("SAVEPOINT" in statement for statement in sent)
    assert await _apples(database) == [("ash", 9), ("elm", 1), ("oak", 1)]


async def test_a_policy_may_ask_of_other_tables_after_the_update(database: Database) -> None:
    async with database.transaction() as session:
        north, south = Orchard(name="North"), Orchard(name="South")
        session.add_all([north, south])
        await session.flush()
    await _plant(database, "oak", orchard_id=north.id)
    in_the_north = exists().where(Orchard.id == Tree.orchard_id, Orchard.name == "North")
    policy = Policy[Tree](update=Spec(in_the_north))

    async with database.transaction() as session:
        trees = Trees(session).restricted(policy)
        with pytest.raises(ForbiddenError):
            await trees.update_where(Tree.kind == "oak", values={"orchard_id": south.id})

        assert await trees.update_where(Tree.kind == "oak", values={"apples": 1}) == 1


async def test_refuses_conditions_on_hidden_columns(database: Database) -> None:
    [tree] = await _plant(database, "oak")
    policy = Policy[Tree](hidden=[Tree.secret])

    async with database.transaction() as session:
        trees = Trees(session).restricted(policy)
        await session.get_one(Tree, tree.id)
        with pytest.raises(HiddenColumnError):
            await trees.update_where(Tree.secret == "root", values={"apples": 1})
        with pytest.raises(HiddenColumnError):
            await trees.delete_where(Spec(Tree.secret == "root"))


async def test_does_not_load_hidden_columns_into_loaded_entities(database: Database) -> None:
    [tree] = await _plant(database, "oak")
    policy = Policy[Tree](hidden=[Tree.secret])

    async with database.transaction() as session:
        trees = Trees(session).restricted(policy)
        loaded = await trees.update(tree.id, {"apples": 1})
        await trees.update_where(Tree.kind == "oak", values={"apples": 2})

        assert loaded.apples == 2
        assert "secret" not in vars(loaded)


async def test_leaves_nothing_behind_if_the_database_refuses(database: Database) -> None:
    await _plant(database, "oak", "elm")

    with pytest.raises(UniqueViolationError) as caught:
        async with database.transaction() as session:
            await Trees(session).update_where(values={"number": 7, "apples": 1}, all_rows=True)

    assert [field.path for field in caught.value.fields] == [("number",)]
    assert await _apples(database) == [("elm", 0), ("oak", 0)]


async def test_refuses_models_that_are_in_several_tables(database: Database) -> None:
    async with database.transaction() as session:
        harvesters = Harvesters(session)
        with pytest.raises(ConfigurationError, match="Harvester is in several tables"):
            await harvesters.update_where(Harvester.width > 1, values={"width": 1})
        with pytest.raises(ConfigurationError, match="Harvester is in several tables"):
            await harvesters.delete_where(Harvester.width > 1)


async def test_writes_a_hundred_thousand_rows_in_constant_memory(database: Database) -> None:
    async with database.transaction() as session:
        for start in range(0, 100_000, 10_000):
            rows = [{"row": start, "column": number} for number in range(10_000)]
            await session.execute(insert(Plot.__table__), rows)  # pyright: ignore[reportArgumentType] -- a table
    tracemalloc.start()

    async with database.transaction() as session:
        changed = await Plots(session).update_where(Plot.row >= 0, values={"crop": "rye"})
        deleted = await Plots(session).delete_where(Plot.crop == "rye")

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert changed == deleted == 100_000
    assert peak < 3_000_000

"""Rows that are inserted, or updated if they are there: in one statement, so without a race."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from sqlalchemy import Result, select, true, tuple_

from fastapi_baseline.errors import (
    BaselineError,
    ConfigurationError,
    FieldError,
    ForbiddenError,
)
from fastapi_baseline.persistence.errors import UniqueViolationError
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.scope import ModelT, attribute_names
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.conflicts import (
    Attributes,
    Conflict,
    has_subquery,
    is_new_in,
    is_returnable,
    several,
)
from fastapi_baseline.persistence.writing.guarded import GuardedWrites
from fastapi_baseline.persistence.writing.row_defaults import (
    RowContext,
    evaluated,
)
from fastapi_baseline.persistence.writing.rows import Row, check_names, row_of
from fastapi_baseline.persistence.writing.stamps import check_settable, stamp_of
from fastapi_baseline.persistence.writing.unique_keys import UniqueKey, unique_key

_KEYS_PER_STATEMENT = 500
_SEEING_ALL: dict[str, Any] = {INCLUDE_DELETED: True}
# Whatever a row says is meant, also that it has no value. SQLAlchemy itself makes statements
# smaller than this where a driver takes fewer parameters.
_ALL_AT_ONCE: dict[str, Any] = {
    "populate_existing": True,
    "render_nulls": True,
    "insertmanyvalues_page_size": 10_000,
}


@dataclass(frozen=True, slots=True)
class Upserted(Generic[ModelT]):
    """An entity as it is stored now, and whether it is new."""

    entity: ModelT
    created: bool


class _RowUpserts(GuardedWrites[ModelT]):
    """How rows are upserted, once it is known by which key."""

    def _given(self, source: Mapping[str, Any] | ModelT) -> Row:
        row = dict(row_of(source, self._shape))
        check_names(row, self._shape)
        if self._policy is not None:
            self._policy.check_settable(row)
        return row

    def _conflict(self, key: Attributes | None, update: Attributes | None) -> Conflict:
        bind = self.session.get_bind(self._shape.mapper)
        if self._shape.is_spread or bind.dialect.name not in {"postgresql", "sqlite"}:
            message = f"No statement upserts {self.model.__name__}, on {bind.dialect.name}."
            raise ConfigurationError(message)
        names = attribute_names(self._shape.key if key is None else several(key))
        found = unique_key(self._shape.mapper, names)
        updated = None if update is None else frozenset(attribute_names(several(update)))
        check_settable(self._shape, updated or ())
        return Conflict(
            shape=self._shape,
            context=RowContext(bind.dialect, bind.get_execution_options()),
            stamp=stamp_of(self.session, self._shape),
            names=tuple(names),
            key=found,
            update=updated,
            before=self._before(found),
        )

    def _before(self, key: UniqueKey) -> list[Condition]:
        before = self._writable("update", [])
        if any(has_subquery(condition) for condition in before):
            before = [self._key.in_(select(*self._shape.key).where(*before))]
        deleted_at = self._shape.deleted_at
        if deleted_at is None or self._includes_deleted:
            return before
        # A key of what is not deleted says so already.
        is_said = str(key.where).rpartition(".")[2] == f"{deleted_at.key} IS NULL"
        return before if is_said else [*before, deleted_at.is_(None)]

    async def _upsert_rows(self, rows: Sequence[Row], conflict: Conflict) -> list[Upserted[ModelT]]:
        """Upsert rows with different keys, and return what became of each, in no order."""
        alike: dict[frozenset[str], list[Row]] = {}
        for row in rows:
            alike.setdefault(frozenset(row), []).append(row)
        is_undone = self._policy is not None or (len(rows) > 1 and bool(conflict.before))
        upserted: list[Upserted[ModelT]] = []
        try:
            async with self._undone_unless(true() if is_undone else None):
                for given, group in alike.items():
                    await self._upsert_alike(group, conflict.changed(given), conflict, upserted)
        except BaselineError:
            self._forget(upserted)
            raise
        return upserted

    async def _upsert_alike(  # noqa: PLR0917 -- it is one step of the method above
        self,
        rows: Sequence[Row],
        changed: frozenset[str],
        conflict: Conflict,
        upserted: list[Upserted[ModelT]],
    ) -> None:
        """Upsert rows that all give the same attributes."""
        stamped = [conflict.stamped(row) for row in rows]
        is_new = await self._newness(stamped, conflict)
        create = self._policy.after("create") if self._policy else None
        checks = (self._check_of_update(changed), create)
        dialect = conflict.context.dialect
        beside = [
            (check if check is not None and is_returnable(check, dialect) else true()).label(name)
            for name, check in zip(("may_update", "may_create"), checks, strict=True)
        ]
        statement = (
            conflict.statement(changed)
            .returning(self.model, is_new_in(dialect), *beside)
            .options(*self._hidden())
            .execution_options(**_ALL_AT_ONCE)
        )
        with self._translated():
            result: Result[*tuple[Any, ...]] = await self.session.execute(statement, stamped)
            found = result.all()
        results = [Upserted(row[0], is_new(row[0], row[1])) for row in found]
        upserted += results
        if not all(row[2 + one.created] for row, one in zip(found, results, strict=True)):
            raise ForbiddenError
        for is_created, check in enumerate(checks):
            if check is not None and not is_returnable(check, dialect):
                concerned = [one.entity for one in results if one.created == is_created]
                await self._check_new(concerned, check)
        if len(found) < len(rows):
            raise await self._refusal_of(rows, conflict)

    async def _newness(
        self, rows: Sequence[Row], conflict: Conflict
    ) -> Callable[[ModelT, Any], bool]:
        """Return what tells whether an entity is new, by its key or by a sign of the database."""
        if conflict.context.dialect.name == "postgresql":
            return lambda _, sign: bool(sign)
        name, *others = attribute_names(self._shape.key)
        default: Any = self._shape.mapper.columns[name].default
        is_made = default is not None and default.is_callable and not others
        if is_made and name not in conflict.names and name not in rows[0]:
            for row in rows:
                row[name] = evaluated(default, conflict.context)
            made = {row[name] for row in rows}
            return lambda entity, _: getattr(entity, name) in made
        # Whoever writes to SQLite holds its lock: nobody comes between the two statements.
        existing = await self._conflicting(rows, conflict)
        return lambda entity, _: conflict.key_of(entity) not in existing

    async def _refusal_of(self, rows: Sequence[Row], conflict: Conflict) -> BaselineError:
        """Return why a row that exists was not updated."""
        deleted_at = self._shape.deleted_at
        if deleted_at is None or self._includes_deleted:
            return ForbiddenError()
        if not await self._conflicting(rows, conflict, deleted_at.is_not(None)):
            return ForbiddenError()
        detail, code = "The value is taken.", UniqueViolationError.code
        fields = [FieldError(path=(name,), detail=detail, code=code) for name in conflict.names]
        return UniqueViolationError(fields=fields)

    async def _conflicting(
        self, rows: Sequence[Row], conflict: Conflict, *also: Condition
    ) -> set[tuple[Any, ...]]:
        """Return the keys of rows that are in the way of these, deleted or not."""
        columns = [getattr(self.model, name) for name in conflict.names]
        where = [*also, *([] if conflict.key.where is None else [conflict.key.where])]
        existing: set[tuple[Any, ...]] = set()
        for start in range(0, len(rows), _KEYS_PER_STATEMENT):
            keys = [conflict.key_of(row) for row in rows[start : start + _KEYS_PER_STATEMENT]]
            among = columns[0].in_([key[0] for key in keys])
            if len(columns) > 1:
                among = tuple_(*columns).in_(keys)
            statement = select(*columns).where(among, *where)
            with self._translated():
                found = await self.session.execute(statement, execution_options=_SEEING_ALL)
            existing.update(tuple(row) for row in found)
        return existing

    def _forget(self, upserted: Iterable[Upserted[ModelT]]) -> None:
        """Part with what is loaded, since it has values that are undone."""
        for one in upserted:
            if one.created:
                self.session.expunge(one.entity)
            else:
                self.session.expire(one.entity)


class Upserts(_RowUpserts[ModelT]):
    """Inserts rows, or updates them if a unique key says that they are there.

    A row is a mapping of attributes, or an entity that is not stored. What it leaves out gets its
    default if the row is new, and stays if it exists. `key` names the attributes of a unique
    constraint or index; without, it is the primary key. `update` names what to set in a row that
    exists; without, it is all that is given but the keys, and `update=()` sets nothing: a row that
    exists comes back as it is. `created_at` and `created_by` never change.

    Where a policy has conditions, new rows must meet `create`, and those that exist `update`, before
    and after. A row that was deleted softly is not updated, and not brought back: if it holds a key
    that it shares with what is not deleted, that key is taken.
    """

    async def upsert(
        self,
        values: Mapping[str, Any] | ModelT,
        *,
        key: Attributes | None = None,
        update: Attributes | None = None,
    ) -> Upserted[ModelT]:
        """Insert or update a row with one statement; with two on SQLite if its key is given.

        Raises:
            UniqueViolationError: If its values are taken under another key, or by a row that was
                deleted softly.
            ForbiddenError: If the policy does not allow it; nothing is stored.
            UnknownAttributeError: If something is given that is no column.
            ConfigurationError: If there is no such unique key, or the row gives no value for it.
        """
        (upserted,) = await self.upsert_many([values], key=key, update=update)
        return upserted

    async def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any] | ModelT],
        *,
        key: Attributes | None = None,
        update: Attributes | None = None,
    ) -> Sequence[Upserted[ModelT]]:
        """Insert or update rows, and return what became of each, in their order.

        It takes one statement for all rows that give the same attributes, or as many as the number
        of parameters demands. Of rows with the same key the last one counts; what it leaves out,
        the one before says. It raises what `upsert` does, and then nothing is stored.
        """
        conflict = self._conflict(key, update)
        merged: dict[tuple[Any, ...], Row] = {}
        places: list[tuple[Any, ...]] = []
        for number, given in enumerate(rows):
            row = conflict.filled(self._given(given))
            told = conflict.key_of(row)
            # What has no value is like no other.
            place = (number, *told) if None in told else told
            merged[place] = merged.get(place, {}) | row
            places.append(place)
        if not merged:
            return []
        upserted = await self._upsert_rows([*merged.values()], conflict)
        return _placed(upserted, places, conflict)


def _placed(
    upserted: Sequence[Upserted[ModelT]], places: Sequence[tuple[Any, ...]], conflict: Conflict
) -> list[Upserted[ModelT]]:
    """Return what became of each row: statements give it back in no order that can be relied on."""
    found = {conflict.key_of(one.entity): one for one in upserted}
    wanted = dict.fromkeys(places)
    # A key may come back in other words than it was given in, or there is none.
    others = iter([one for one in upserted if conflict.key_of(one.entity) not in wanted])
    became = {place: found[place] if place in found else next(others) for place in wanted}
    return [became[place] for place in places]

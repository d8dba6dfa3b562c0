"""How patients are found: the database filters, sorts and counts."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_baseline.persistence import ReadRepository, Repository
from sqlalchemy import ColumnElement, Row, Select, Text, cast, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from patients.domains.patients.javascript import to_lower_case, to_number
from patients.domains.patients.models import SEPARATOR, Patient
from patients.domains.patients.patterns import ESCAPE, like_containing
from patients.domains.patients.query import Condition, Operator, PatientQuery
from patients.domains.patients.schemas import MAX_AGE, PatientField

_COLUMNS: dict[PatientField, InstrumentedAttribute[Any]] = {
    PatientField.ID: Patient.id,
    PatientField.PATIENT_ID: Patient.patient_id,
    PatientField.NAME: Patient.name,
    PatientField.AGE: Patient.age,
    PatientField.GENDER: Patient.gender,
    PatientField.MEDICAL_CONDITION: Patient.medical_condition,
    PatientField.LAST_VISIT: Patient.last_visit,
}
# Each field as `_like` compares it; genders and dates are ASCII, where every database knows case.
_CANONICAL: dict[PatientField, ColumnElement[str]] = {
    PatientField.ID: Patient.canonical_id.expression,
    PatientField.PATIENT_ID: Patient.canonical_patient_id.expression,
    PatientField.NAME: Patient.canonical_name.expression,
    PatientField.AGE: cast(Patient.age, Text),
    PatientField.GENDER: func.upper(Patient.gender),
    PatientField.MEDICAL_CONDITION: Patient.canonical_medical_condition.expression,
    PatientField.LAST_VISIT: Patient.last_visit.expression,
}
_NAMES = tuple(str(field) for field in _COLUMNS)
# How JavaScript writes a whole number: `045` and `45.0` equal no age.
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Patients by the names of their fields on the wire; `total` is known if a part was asked for."""

    patients: Sequence[Mapping[str, str | int]]
    total: int | None = None


class PatientReader(ReadRepository[Patient]):
    """Patients, in a transaction that only reads."""

    async def search(self, query: PatientQuery) -> Found:
        """Return the patients that a query asks for.

        They are plain values and not entities: a list of thousands is read several times as fast.
        """
        where = [*map(_condition, query.conditions), *_containing(query.text)]
        statement = self.select().where(*where).order_by(*_order(query))
        if query.window is None:
            rows = await self.session.execute(statement.with_only_columns(*_COLUMNS.values()))
            return Found(patients=[_named(row) for row in rows])
        total = _counted(where, is_slow=query.reads_every_row, base=self.select())
        window = query.window
        part = statement.with_only_columns(*_COLUMNS.values(), total)
        rows = (await self.session.execute(part.limit(window.limit).offset(window.offset))).all()
        return Found(
            patients=[_named(row) for row in rows],
            # Without a row there is nothing that the number could come with.
            total=rows[0][-1] if rows else await self.count(*where),
        )

    async def find_by_id(self, patient_id: str) -> Patient | None:
        """Return the patient whose `id` this is, or `None`."""
        return await self.find_one(self.select().where(Patient.id == patient_id))


class PatientRepository(PatientReader, Repository[Patient]):
    """Patients, in a transaction that also writes."""

    async def stored(self, attribute: PatientField, values: Iterable[str]) -> dict[str, Patient]:
        """Return the patients that have one of these values in a field that is unique."""
        column = _COLUMNS[attribute]
        found = await self.list(column.in_(values))
        return {getattr(patient, column.key): patient for patient in found}


def _counted(
    where: list[ColumnElement[bool]], *, is_slow: bool, base: Select[Patient]
) -> ColumnElement[int]:
    """Return the number of all that match, as a column of the part that is read.

    To compare text with every row takes long, so that is done once, for the part and for the
    number; else to count apart is faster, since it need not read what it counts.
    """
    if is_slow:
        return func.count().over()
    matching = base.where(*where).with_only_columns(Patient.position).subquery()
    return select(func.count()).select_from(matching).scalar_subquery()


def _named(row: Row[*tuple[Any, ...]]) -> dict[str, str | int]:
    return dict(zip(_NAMES, row, strict=False))


def _order(query: PatientQuery) -> list[ColumnElement[Any]]:
    chosen = [
        _COLUMNS[order.field].desc() if order.descending else _COLUMNS[order.field].asc()
        for order in query.order
    ]
    return [*chosen, Patient.position.asc()]


def _containing(text: str) -> list[ColumnElement[bool]]:
    if not text:
        return []
    if SEPARATOR in text:
        return [false()]
    return [Patient.searched.like(like_containing(to_lower_case(text)), escape=ESCAPE)]


def _condition(condition: Condition) -> ColumnElement[bool]:
    if condition.field is None:
        return false()
    if condition.operator is Operator.LIKE:
        compared = _CANONICAL[condition.field]
        return or_(*(compared.like(pattern, escape=ESCAPE) for pattern in condition.values))
    if condition.field is PatientField.AGE:
        return _age_condition(condition.operator, condition.values)
    column = _COLUMNS[condition.field]
    match condition.operator:
        case Operator.EQ:
            return column.in_(condition.values)
        case Operator.NE:
            return column.not_in(condition.values)
        # One of several bounds is enough, so the loosest counts. Python too compares code points.
        case Operator.GTE:
            return column >= min(condition.values)
        case Operator.LTE:
            return column <= max(condition.values)


def _age_condition(operator: Operator, values: Sequence[str]) -> ColumnElement[bool]:
    """Return a condition on the one field that is a number.

    Equality compares what the number looks like, and a bound its value.
    """
    equal = [int(value) for value in values if _WHOLE_NUMBER.fullmatch(value)]
    bounds = [number for value in values if not math.isnan(number := to_number(value))]
    if operator is Operator.EQ:
        return Patient.age.in_(equal)
    if operator is Operator.NE:
        return Patient.age.not_in(equal)
    if not bounds:
        return false()
    if operator is Operator.GTE:
        return Patient.age >= math.ceil(_within_ages(min(bounds)))
    return Patient.age <= math.floor(_within_ages(max(bounds)))


def _within_ages(bound: float) -> float:
    """Return the bound, or the nearest one that all or no ages keep: databases have no infinity."""
    return min(max(bound, 0.0), MAX_AGE + 1.0)

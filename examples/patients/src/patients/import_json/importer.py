"""Records into the database, a batch in each transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi_baseline.persistence import Database, UniqueViolationError
from pydantic import ValidationError

from patients.domains.patients.models import Patient
from patients.domains.patients.repository import PatientRepository
from patients.domains.patients.schemas import PatientField, PatientIn
from patients.domains.patients.service import make_id
from patients.import_json.reader import FormatError
from patients.import_json.report import Entry, Outcome, Report

BATCH_SIZE = 500
# How often a batch is tried while clients register patients that are in it too.
_ATTEMPTS = 5

_FIELD_ORDER = {str(field): order for order, field in enumerate(PatientField)}

Numbered = tuple[int, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record that keeps the rules for fields, with its index in the file."""

    index: int
    patient: PatientIn

    def is_like(self, stored: Patient | PatientIn) -> bool:
        """Return whether nothing of the record would be lost if it were left out."""
        values = self.patient.model_dump(exclude={"id"} if self.patient.id is None else None)
        return all(getattr(stored, name) == value for name, value in values.items())


async def import_records(records: Iterable[object], *, database: Database, report: Report) -> None:
    """Store the records that can be stored, in their order, and tell `report` of each.

    Each batch is stored whole or not at all, and is reported once it is. A record whose `patientID`
    is stored already is skipped, so an import that was cut off can be run again.

    Raises:
        FormatError: From `records`, after what came before the fault has been stored.
    """
    for batch in _batches(records):
        await _import(batch, database=database, report=report)


def _batches(records: Iterable[object]) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    try:
        for numbered in enumerate(records):
            batch.append(numbered)
            if len(batch) == BATCH_SIZE:
                yield batch
                batch = []
    except FormatError:
        yield batch
        raise
    yield batch


async def _import(batch: list[Numbered], *, database: Database, report: Report) -> None:
    candidates: list[Candidate] = []
    failed: list[Entry] = []
    for index, record in batch:
        checked = _check(index, record)
        if isinstance(checked, Entry):
            failed.append(checked)
        else:
            candidates.append(checked)

    refused = await _store_despite_others(candidates, database=database)
    report.add_imported(len(candidates) - len(refused))
    for entry in sorted([*failed, *refused], key=lambda entry: entry.index):
        report.add(entry)


def _check(index: int, record: object) -> Candidate | Entry:
    """Return the record if it keeps the rules for fields, else the first rule that it breaks."""
    if not isinstance(record, dict):
        return Entry(index=index, outcome=Outcome.FAILED, field=None, detail="not an object")
    try:
        return Candidate(index=index, patient=PatientIn.model_validate(record))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        first = min(faults, key=lambda fault: _order(fault["loc"]))
        # There is no name for a field whose name is no text.
        field = str(first["loc"][0]) if first["loc"] else None
        return Entry(index=index, outcome=Outcome.FAILED, field=field, detail=first["msg"])


def _order(place: tuple[int | str, ...]) -> int:
    """Return where a field stands among all, those that are unknown coming last."""
    return _FIELD_ORDER.get(str(place[0]) if place else "", len(_FIELD_ORDER))


async def _store_despite_others(candidates: list[Candidate], *, database: Database) -> list[Entry]:
    """Store what is new, again if a client was faster: then its patient is seen."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _store(candidates, database=database)
        except UniqueViolationError:
            continue
    return await _store(candidates, database=database)


async def _store(candidates: list[Candidate], *, database: Database) -> list[Entry]:
    """Store what is new in one transaction, and return what was not stored."""
    if not candidates:
        return []
    refused: list[Entry] = []
    rows: list[dict[str, Any]] = []
    async with database.transaction() as session:
        patients = PatientRepository(session)
        given = [c.patient.id for c in candidates if c.patient.id is not None]
        known: dict[str, Patient | PatientIn] = {
            **await patients.stored(
                PatientField.PATIENT_ID, [c.patient.patient_id for c in candidates]
            )
        }
        taken = set(await patients.stored(PatientField.ID, given))
        for candidate in candidates:
            new = candidate.patient
            if new.patient_id in known:
                refused.append(_skip(candidate, known[new.patient_id]))
            elif new.id in taken:
                refused.append(_fail_for_id(candidate))
            else:
                known[new.patient_id] = new
                taken |= {new.id} if new.id is not None else set()
                rows.append(new.model_dump() | {"id": new.id or make_id()})
        if rows:
            await patients.copy_many(rows)
    return refused


def _skip(candidate: Candidate, stored: Patient | PatientIn) -> Entry:
    same = candidate.is_like(stored)
    return Entry(
        index=candidate.index,
        outcome=Outcome.SKIPPED,
        field=str(PatientField.PATIENT_ID),
        detail="stored already" if same else "another patient has this patientID",
        is_refused=not same,
    )


def _fail_for_id(candidate: Candidate) -> Entry:
    return Entry(
        index=candidate.index,
        outcome=Outcome.FAILED,
        field=str(PatientField.ID),
        detail="another patient has this id",
    )

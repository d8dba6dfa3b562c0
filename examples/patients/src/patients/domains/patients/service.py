"""The rules about patients; HTTP is the router's, SQL the repository's."""

import secrets
from collections.abc import Callable

from patients.domains.patients.models import Patient
from patients.domains.patients.repository import PatientRepository
from patients.domains.patients.schemas import PatientIn

# 72 random bits: twelve characters, and no second one of the same in the life of the service.
_ID_BYTES = 9


def make_id() -> str:
    """Return a new id: short, opaque text like that of json-server, and safe in a path."""
    return secrets.token_urlsafe(_ID_BYTES)


class PatientService:
    """What can be done with patients."""

    def __init__(
        self, patients: PatientRepository, *, make_id: Callable[[], str] = make_id
    ) -> None:
        self._patients = patients
        self._make_id = make_id

    async def register(self, new: PatientIn) -> Patient:
        """Add a patient; raise `UniqueViolationError` if the `patient_id` or the `id` is taken."""
        values = new.model_dump()
        return await self._patients.add(Patient(**values | {"id": new.id or self._make_id()}))

"""How patients are stored."""

from collections.abc import Callable

from fastapi_baseline.persistence import Base, Timestamps
from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from patients.domains.patients.javascript import canonicalize, to_lower_case
from patients.domains.patients.schemas import MAX_AGE, MAX_KEY_LENGTH, MAX_NAME_LENGTH, MIN_AGE

SEPARATOR = "\uffff"
"""What stands between the values in `Patient.searched`; it is no character (Unicode 23.7)."""

_SEARCHED = ("id", "patient_id", "name", "age", "gender", "medical_condition", "last_visit")


def _text(length: int | None = None) -> TypeEngine[str]:
    """Return a type of text that sorts by code point, as SQLite does, on PostgreSQL too."""
    if length is None:
        return Text().with_variant(Text(collation="C"), "postgresql")
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _searched(context: DefaultExecutionContext) -> str:
    values = context.get_current_parameters()
    return SEPARATOR.join(to_lower_case(str(values[name])) for name in _SEARCHED)


def _canonical(name: str) -> Callable[[DefaultExecutionContext], str]:
    return lambda context: canonicalize(str(context.get_current_parameters()[name]))


class Patient(Base, Timestamps):
    """A patient, under a `patient_id` that no other patient has.

    `position` keeps the order in which patients were added. Databases disagree on case beyond
    ASCII, so text is also kept as it is compared: `searched` for `q`, the `canonical_*` columns for
    `_like`. They are computed when a patient is added, and nothing changes one afterwards.
    """

    __table_args__ = (
        CheckConstraint(f"age BETWEEN {MIN_AGE} AND {MAX_AGE}", name="age"),
        CheckConstraint("gender IN ('Male', 'Female', 'Other')", name="gender"),
        # With the position, which decides between equals: so a page is read without sorting all.
        Index(None, "name", "position"),
        Index(None, "last_visit", "position"),
    )

    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    id: Mapped[str] = mapped_column(_text(MAX_KEY_LENGTH), unique=True)
    patient_id: Mapped[str] = mapped_column(_text(MAX_KEY_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(_text(MAX_NAME_LENGTH))
    age: Mapped[int]
    gender: Mapped[str] = mapped_column(_text(6))
    medical_condition: Mapped[str] = mapped_column(_text())
    last_visit: Mapped[str] = mapped_column(_text(10))

    searched: Mapped[str] = mapped_column(_text(), default=_searched)
    canonical_id: Mapped[str] = mapped_column(_text(), default=_canonical("id"))
    canonical_patient_id: Mapped[str] = mapped_column(_text(), default=_canonical("patient_id"))
    canonical_name: Mapped[str] = mapped_column(_text(), default=_canonical("name"))
    canonical_medical_condition: Mapped[str] = mapped_column(
        _text(), default=_canonical("medical_condition")
    )

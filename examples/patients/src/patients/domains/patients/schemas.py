"""What clients send and get: camelCase on the wire, as the front end has it."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

MAX_KEY_LENGTH = 200
MAX_NAME_LENGTH = 500
MAX_TEXT_LENGTH = 10_000
MIN_AGE = 1
MAX_AGE = 150

EXAMPLE: dict[str, JsonValue] = {
    "id": "bdc67",
    "patientID": "P00007",
    "name": "Évariste O'Brien",
    "age": 56,
    "gender": "Other",
    "medicalCondition": "Post-operative follow-up",
    "lastVisit": "2021-12-13",
}


class PatientField(StrEnum):
    """The fields of a patient, by their names on the wire and in their order there."""

    ID = "id"
    PATIENT_ID = "patientID"
    NAME = "name"
    AGE = "age"
    GENDER = "gender"
    MEDICAL_CONDITION = "medicalCondition"
    LAST_VISIT = "lastVisit"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "Input should not be blank")
    return text


def _storable(text: str) -> str:
    """Refuse what JSON can say and databases cannot keep."""
    if "\0" in text:
        raise PydanticCustomError("nul_character", "Input should not contain the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError(
            "lone_surrogate", "Input should not contain half of a surrogate pair"
        ) from None
    return text


def _whole(value: object) -> object:
    """Take 41.0 for 41, since JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _real_date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("no_such_date", "Input should be a date that exists") from None
    return text


def _none_for_empty(value: object) -> object:
    """Let an empty id be made, as json-server does."""
    return None if value == "" else value


_Text = Annotated[str, AfterValidator(_not_blank), AfterValidator(_storable)]
Key = Annotated[_Text, Field(max_length=MAX_KEY_LENGTH)]
Name = Annotated[_Text, Field(max_length=MAX_NAME_LENGTH)]
Text = Annotated[_Text, Field(max_length=MAX_TEXT_LENGTH)]
Age = Annotated[int, Field(strict=True, ge=MIN_AGE, le=MAX_AGE), BeforeValidator(_whole)]
Gender = Literal["Male", "Female", "Other"]
Day = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"}),
    AfterValidator(_real_date),
]


class PatientIn(BaseModel):
    """A new patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{field: value for field, value in EXAMPLE.items() if field != "id"}]
        },
    )

    id: Annotated[
        Key | None,
        BeforeValidator(_none_for_empty),
        Field(description="Left out, null or empty: one is made"),
    ] = None
    patient_id: Key = Field(alias="patientID", description="No two patients have the same")
    name: Name
    age: Age
    gender: Gender
    medical_condition: Text = Field(alias="medicalCondition")
    last_visit: Day = Field(alias="lastVisit")


class PatientOut(BaseModel):
    """A patient, as it is stored."""

    model_config = ConfigDict(
        from_attributes=True, validate_by_name=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    id: str
    patient_id: str = Field(alias="patientID")
    name: str
    age: int
    gender: Gender
    medical_condition: str = Field(alias="medicalCondition")
    last_visit: str = Field(alias="lastVisit", json_schema_extra={"format": "date"})

"""What is told of a user, and what a service may ask for when somebody registers."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import inspect

from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.auth.users.schemas import Registration, UserRead
from fastapi_baseline.errors import ConfigurationError


def read_user(user: UserRecord, read: type[UserRead]) -> UserRead:
    """Return what is told of a user, with the columns of the service's own that `read` has."""
    own = {name: getattr(user, name) for name in read.model_fields if name != "id"}
    return read.model_validate({**own, "id": subject_of(user)})


def check_registration(model: type[UserRecord], registration: type[Registration]) -> None:
    """Refuse a form that would let people write what only the service may write.

    Raises:
        ConfigurationError: If a field is a column of the library's, or none of the model's.
    """
    refuse_columns(model, registration, known=set(Registration.model_fields))


def refuse_columns(model: type[UserRecord], form: type[BaseModel], *, known: set[str]) -> None:
    """Refuse a form with fields that are no columns of the service's own, besides those `known`.

    Raises:
        ConfigurationError: If there is one.
    """
    mapper = inspect(model)
    protected = {*UserRecord.__annotations__, *(column.key for column in mapper.primary_key)}
    columns = {attribute.key for attribute in mapper.column_attrs}
    asked = set(form.model_fields) - known
    wrong = sorted(asked & protected | asked - columns)
    if wrong:
        raise ConfigurationError(
            f"{form.__name__} has fields that are no columns of the service's own: "
            f"{', '.join(wrong)}"
        )


def values_of(form: BaseModel, *, known: set[str]) -> dict[str, Any]:
    """Return the fields that a service has added to a form."""
    return {name: getattr(form, name) for name in form.model_fields_set - known}

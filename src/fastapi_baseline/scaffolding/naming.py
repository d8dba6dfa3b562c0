"""The names of a resource: how one becomes several, and which cannot be taken."""

import keyword
import re

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.specification import (
    FieldSpecification,
    FieldType,
    ResourceSpecification,
)
from fastapi_baseline.scaffolding.words import (
    CLASS_WORDS,
    CODE_WORDS,
    MODULES,
    PYTHON_WORDS,
    ROW_WORDS,
    SQL_WORDS,
)

MAX_NAME = 40
"""How many characters a name may have: PostgreSQL allows 63, and names of keys hold two of ours."""

_WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "half": "halves",
    "hero": "heroes",
    "knife": "knives",
    "leaf": "leaves",
    "life": "lives",
    "man": "men",
    "person": "people",
    "potato": "potatoes",
    "quiz": "quizzes",
    "shelf": "shelves",
    "tomato": "tomatoes",
    "tooth": "teeth",
    "wife": "wives",
    "woman": "women",
}
_UNCOUNTABLE = frozenset(
    {"equipment", "feedback", "information", "money", "news", "series", "species", "staff"}
)


def to_snake_case(name: str) -> str:
    """Return a name in snake case: `order_line` for `OrderLine`, `order-line` and `Order line`."""
    return re.sub(r"[\s_-]+", "_", _WORD_START.sub("_", name.strip())).lower()


def pluralize(name: str) -> str:
    """Return what several are called, by the simple rules of English.

    Raises:
        ConfigurationError: If the word has no plural of its own.
    """
    start, underscore, word = name.rpartition("_")
    if word in _UNCOUNTABLE:
        raise ConfigurationError(f"{name!r} has no plural: say what several are, with --plural.")
    if word in _IRREGULAR:
        several = _IRREGULAR[word]
    elif re.search(r"[^aeiou]y$", word):
        several = f"{word[:-1]}ies"
    elif re.search(r"(sis|xis)$", word):
        several = f"{word[:-2]}es"
    elif re.search(r"(s|x|z|ch|sh)$", word):
        several = f"{word}es"
    else:
        several = f"{word}s"
    return f"{start}{underscore}{several}"


def resource_names(name: str, plural: str | None = None) -> tuple[str, str]:
    """Return what one is called and what several are, in snake case.

    Raises:
        ConfigurationError: If one of them is no name, or the first is that of several.
    """
    one = to_snake_case(name)
    _check_form(one, what="A resource")
    if plural is None:
        if re.search(r"[^isu]s$", one):
            message = (
                f"{name!r} looks like several: name one of them. If it is the name of one, say "
                f"what several are, with --plural."
            )
            raise ConfigurationError(message)
        return one, pluralize(one)
    several = to_snake_case(plural)
    _check_form(several, what="A plural")
    if several == one:
        raise ConfigurationError(f"One and several are both {one!r}: they need names of their own.")
    return one, several


def check_names(resource: ResourceSpecification, service: Service) -> None:
    """Return if a resource can be called as it is in a service.

    Raises:
        ConfigurationError: If a name is taken, by the service, by Python, by SQL or by the
            library; it says which, and what it is.
    """
    for name in (resource.name, resource.plural):
        _check_form(name, what="A resource")
        if name in PYTHON_WORDS:
            raise ConfigurationError(f"{name!r} is a word of Python: take another name.")
        if name in CODE_WORDS:
            message = f"{name!r} is what the code of every resource calls something: add a word."
            raise ConfigurationError(message)
    if resource.plural in MODULES:
        message = f"{resource.plural!r} is what a module of every domain is called: add a word."
        raise ConfigurationError(message)
    if resource.table_name in SQL_WORDS and resource.table is None:
        raise ConfigurationError(f"{resource.table_name!r} is a word of SQL: take another name.")
    _check_what_is_there(resource, service)
    _check_fields(resource)
    _check_references(resource, service)


def _check_what_is_there(resource: ResourceSpecification, service: Service) -> None:
    if resource.plural in service.domains:
        message = f"There is a domain {resource.plural!r} in {service.package}.domains already."
        raise ConfigurationError(message)
    for model in service.models.values():
        if model.name == resource.model:
            message = f"There is a model {model.name} already, in {model.module}."
            raise ConfigurationError(message)
        if model.table == resource.table_name:
            message = f"The model {model.name} in {model.module} has the table {model.table!r}."
            raise ConfigurationError(message)


def _check_fields(resource: ResourceSpecification) -> None:
    if not resource.fields:
        message = "A resource has at least one field: baseline add resource order 'number:string'"
        raise ConfigurationError(message)
    seen = set[str]()
    for field in resource.fields:
        check_field(field)
        if field.attribute in seen:
            raise ConfigurationError(f"There are two fields {field.attribute!r}.")
        seen.add(field.attribute)


def check_field(field: FieldSpecification) -> None:
    """Return if a field can be called as it is.

    Raises:
        ConfigurationError: If its name is taken, by Python, by SQL or by the library.
    """
    name = field.attribute
    _check_form(field.name, what="A field")
    if keyword.iskeyword(name):
        raise ConfigurationError(f"The field {name!r} is a word of Python: take another name.")
    if name in SQL_WORDS and field.column is None:
        raise ConfigurationError(f"The field {name!r} is a word of SQL: take another name.")
    if name == "l":
        raise ConfigurationError("The field 'l' looks like 1 or I: take another name.")
    if name in ROW_WORDS:
        message = f"The field {name!r} has a meaning already: rows have an id, and are stamped."
        raise ConfigurationError(message)
    if name in CLASS_WORDS or name.startswith(("model_dump", "model_validate")):
        message = f"The field {name!r} is what models or schemas have already: take another name."
        raise ConfigurationError(message)


def _check_references(resource: ResourceSpecification, service: Service) -> None:
    for field in resource.fields:
        if field.type is not FieldType.REFERENCE:
            continue
        if field.reference == resource.name:
            if not field.is_optional:
                message = (
                    f"The field {field.name!r} refers to {resource.name!r} itself, so the first "
                    f"one could not be added: make it optional."
                )
                raise ConfigurationError(message)
        elif field.reference not in service.models:
            known = ", ".join(sorted(service.models)) or "none"
            message = (
                f"The field {field.name!r} refers to {field.reference!r}, and there is no such "
                f"model; there are: {known}."
            )
            raise ConfigurationError(message)


def _check_form(name: str, *, what: str) -> None:
    if not _WORDS.fullmatch(name):
        message = f"{what} is called by words of letters and digits, such as order_line: {name!r}."
        raise ConfigurationError(message)
    if len(name) > MAX_NAME:
        raise ConfigurationError(f"{name!r} is too long: use at most {MAX_NAME} characters.")

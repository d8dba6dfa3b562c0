"""What a resource can be made from, besides words: what all such sources have in common."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import MAX_CHOICE, to_member
from fastapi_baseline.scaffolding.naming import check_field, to_snake_case
from fastapi_baseline.scaffolding.specification import FieldSpecification, ResourceSpecification


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A resource that was read from somewhere, and what it does not say of what was there."""

    resource: ResourceSpecification
    notes: Sequence[str] = ()
    """Sentences for whoever asked, each about one thing that has no counterpart, or was guessed."""


def with_a_name(
    field: FieldSpecification, source: str, is_taken: Callable[[str], bool]
) -> FieldSpecification:
    """Return a field under a name that a field can have, next to the fields there are.

    Raises:
        ConfigurationError: If no name can be made of what its source calls it.
    """
    for name in (field.name, f"{field.name}_value"):
        named = replace(field, name=name)
        try:
            check_field(named)
        except ConfigurationError:
            continue
        if not is_taken(named.attribute):
            return named
    message = f"No field can be called {source!r}, nor {field.name}_value: rename it first."
    raise ConfigurationError(message)


def snake_case_of(name: str) -> str:
    """Return words of letters and digits in snake case, whatever else a name is made of."""
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9]", "_", to_snake_case(name))).strip("_")


def are_choices(values: Iterable[object]) -> bool:
    """Return whether an enumeration can be made of values: each gets a name in Python."""
    texts = list(values)
    if not texts or not all(isinstance(text, str) and text.isprintable() for text in texts):
        return False
    members = {to_member(str(text)) for text in texts}
    return (
        len(members) == len(texts)
        and all(member.isidentifier() and member.isascii() for member in members)
        and "VALUE_" not in members
        and max(len(str(text)) for text in texts) <= MAX_CHOICE
    )

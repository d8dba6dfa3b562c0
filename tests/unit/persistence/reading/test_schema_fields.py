from collections.abc import Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    Optional,  # pyright: ignore[reportDeprecated] -- some write it so
    TypeVar,
)

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from fastapi_baseline.persistence.reading.schema_fields import Source, fields_of


class Leaf(BaseModel):
    size: int


ValueT = TypeVar("ValueT")


class Box(BaseModel, Generic[ValueT]):
    value: ValueT


def _sources(schema: type[BaseModel]) -> dict[str, tuple[Source, ...]]:
    return {field.name: field.sources for field in fields_of(schema)}


def _source(key: str, attribute: str | None = None, *rest: str | int) -> Source:
    return Source(key=key, attribute=attribute or key, rest=rest)


@pytest.mark.parametrize(
    "annotation",
    [
        Leaf,
        Leaf | None,
        Optional[Leaf],  # noqa: UP045 -- some write it so # pyright: ignore[reportDeprecated] -- some write it so
        list[Leaf],
        list[Leaf] | None,
        Sequence[Leaf],
        tuple[Leaf, ...],
        set[Leaf],
        Annotated[Leaf, "note"],
        list[Annotated[Leaf, "note"]],
        Annotated[list[Leaf], Field(max_length=3)],
    ],
)
def test_finds_the_schema_in_an_annotation(annotation: Any) -> None:
    schema: type[BaseModel] = type("Tree", (BaseModel,), {"__annotations__": {"leaf": annotation}})

    [field] = fields_of(schema)

    assert field.nested is Leaf


@pytest.mark.parametrize("annotation", [int, dict[str, Leaf], Leaf | int, list[int], Any])
def test_finds_no_schema_where_there_is_not_exactly_one(annotation: Any) -> None:
    schema: type[BaseModel] = type("Tree", (BaseModel,), {"__annotations__": {"leaf": annotation}})

    [field] = fields_of(schema)

    assert field.nested is None


def test_knows_the_fields_of_generic_and_inherited_schemas() -> None:
    class Bigger(Box[Leaf]):
        label: str = ""

    value, label = fields_of(Bigger)

    assert (value.name, value.nested, value.is_required) == ("value", Leaf, True)
    assert (label.name, label.nested, label.is_required) == ("label", None, False)


def test_knows_schemas_that_are_defined_later() -> None:
    class Early(BaseModel):
        late: "list[Late]"

    class Late(BaseModel):
        size: int

    Early.model_rebuild()
    [field] = fields_of(Early)

    assert field.nested is Late


def test_takes_a_value_under_the_name_of_the_field_without_an_alias() -> None:
    class Plain(BaseModel):
        size: int
        shown: int = Field(serialization_alias="display")

    assert _sources(Plain) == {"size": (_source("size"),), "shown": (_source("shown"),)}


def test_prefers_the_attribute_that_an_alias_names() -> None:
    class Aliased(BaseModel):
        size: int = Field(alias="width")
        words: str = Field(validation_alias=AliasChoices("text", AliasPath("facts", "text", 0)))

    assert _sources(Aliased) == {
        "size": (_source("width"), _source("width", "size")),
        "words": (
            _source("text"),
            _source("facts", None, "text", 0),
            _source("text", "words"),
        ),
    }


@pytest.mark.parametrize("setting", ["validate_by_name", "populate_by_name"])
def test_takes_a_value_under_its_name_too_where_the_schema_does(setting: str) -> None:
    class Aliased(BaseModel):
        model_config = ConfigDict(**{setting: True})  # pyright: ignore[reportArgumentType] -- a name that it has
        size: int = Field(alias="width")

    assert _sources(Aliased) == {"size": (_source("width"), _source("size"))}


def test_passes_over_aliases_that_the_schema_does_not_validate_by() -> None:
    class ByName(BaseModel):
        model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
        size: int = Field(alias="width")

    assert _sources(ByName) == {"size": (_source("size"),)}


def test_has_no_other_source_for_what_only_a_path_tells() -> None:
    class ByPath(BaseModel):
        size: int = Field(validation_alias=AliasPath("leaf", "size"))

    assert _sources(ByPath) == {"size": (_source("leaf", None, "size"),)}

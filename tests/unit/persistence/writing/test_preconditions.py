from uuid import UUID

import pytest
from sqlalchemy import BigInteger, SmallInteger
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.entity_tags import MAX_ENTITY_TAGS
from fastapi_baseline.errors import ConfigurationError, InvalidRequestError
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.persistence.models import Versioned
from fastapi_baseline.persistence.shape import shape_of
from fastapi_baseline.persistence.writing.preconditions import (
    Precondition,
    etag_of,
    is_expected,
    version_conditions,
)


class TaggedPlan(Base, UUIDPrimaryKey, Versioned):
    pass


class TaggedScheme(Base, UUIDPrimaryKey):
    edition: Mapped[int] = mapped_column(BigInteger)
    __mapper_args__ = {"version_id_col": edition}  # noqa: RUF012


class TaggedSlip(Base, UUIDPrimaryKey):
    edition: Mapped[int] = mapped_column(SmallInteger)
    __mapper_args__ = {"version_id_col": edition}  # noqa: RUF012


class UntaggedPlan(Base, UUIDPrimaryKey):
    pass


def _versions(value: str) -> set[str] | None:
    versions = Precondition.parse(value).versions
    return None if versions is None else set(versions)


@pytest.mark.parametrize(
    ("value", "versions"),
    [
        ("*", None),
        (" * ", None),
        ('"3"', {"3"}),
        ('""', {""}),
        ('"a,b"', {"a,b"}),
        ('"1", "2","3"', {"1", "2", "3"}),
        (' , "1" ,, "2",\t', {"1", "2"}),
        ('"1", "1"', {"1"}),
        ('"\xe4!#~"', {"\xe4!#~"}),
        ('"W/"', {"W/"}),
        ('W/"3"', set[str]()),
        ('W/"3", "4"', {"4"}),
    ],
)
def test_reads_what_rfc_9110_allows(value: str, versions: set[str] | None) -> None:
    assert _versions(value) == versions


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "3",
        '"3',
        '3"',
        '"3""4"',
        '"3" "4"',
        '"3";"4"',
        '*, "3"',
        '"3", *',
        "**",
        'w/"3"',
        'W/ "3"',
        "W/3",
        "'3'",
        '"a b"',
        '"a\tb"',
        '"a\x00"',
        '"a\x7f"',
        '"\u0100"',
        '"3", four',
        ",".join(['"3"'] * (MAX_ENTITY_TAGS + 1)),
    ],
)
def test_refuses_what_rfc_9110_does_not_allow(value: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Precondition.parse(value)

    [field] = caught.value.fields
    assert (field.location, field.path, field.code) == (
        "header",
        ("If-Match",),
        "invalid_entity_tag",
    )


def test_reads_as_many_tags_as_are_allowed() -> None:
    tags = {str(number) for number in range(MAX_ENTITY_TAGS)}

    assert _versions(",".join(f'"{tag}"' for tag in tags)) == tags


def test_is_met_by_one_of_its_versions() -> None:
    precondition = Precondition.parse('"1", "x"')

    assert precondition.is_met_by(1)
    assert precondition.is_met_by("x")
    assert not precondition.is_met_by(2)
    assert not precondition.is_met_by(None)


def test_any_version_is_met_by_all() -> None:
    assert Precondition.parse("*").is_met_by(7)


def test_what_is_weak_is_met_by_none() -> None:
    assert not Precondition.parse('W/"1"').is_met_by(1)


def test_a_version_is_expected_if_nothing_is() -> None:
    assert is_expected(7, None)
    assert is_expected(7, 7)
    assert not is_expected(7, 8)
    assert is_expected(7, Precondition.parse('"7"'))


def test_the_tag_of_an_entity_is_its_version_in_quotes() -> None:
    assert etag_of(TaggedPlan(version=3)) == etag_of(3) == '"3"'
    assert etag_of(TaggedScheme(edition=4)) == '"4"'
    assert etag_of("sealed") == '"sealed"'


def test_refuses_to_tag_what_has_no_version() -> None:
    with pytest.raises(ConfigurationError, match="UntaggedPlan has no version"):
        etag_of(UntaggedPlan())


@pytest.mark.parametrize("version", [1, 12, 2**31, 2**62, UUID(int=7).hex])
def test_what_is_tagged_is_recognised(version: int | str) -> None:
    assert Precondition.parse(etag_of(version)).is_met_by(version)


def _asked(model: type[Base], expected: int | Precondition) -> list[str]:
    conditions = version_conditions(shape_of(model), expected)
    return [
        str(condition.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        for condition in conditions
    ]


def test_asks_the_database_for_the_version() -> None:
    assert _asked(TaggedPlan, 3) == ["tagged_plan.version IN (3)"]
    assert _asked(TaggedPlan, Precondition.parse('"3", "1"')) == ["tagged_plan.version IN (1, 3)"]
    assert _asked(TaggedPlan, Precondition.parse("*")) == []
    assert version_conditions(shape_of(UntaggedPlan), None) == []


@pytest.mark.parametrize(
    ("model", "column", "limit"),
    [
        (TaggedSlip, "tagged_slip.edition", 2**15),
        (TaggedPlan, "tagged_plan.version", 2**31),
        (TaggedScheme, "tagged_scheme.edition", 2**63),
    ],
)
def test_does_not_ask_for_what_the_column_cannot_hold(
    model: type[Base], column: str, limit: int
) -> None:
    assert _asked(model, limit - 1) == [f"{column} IN ({limit - 1})"]
    for impossible in (limit, -limit - 1, 10**30):
        assert _asked(model, impossible) == ["0"]
        assert _asked(model, Precondition(versions=frozenset({str(impossible)}))) == ["0"]


@pytest.mark.parametrize("tag", ["01", "+1", "-1", "1.0", "1 ", "1_0", "\u0661", "x", ""])
def test_a_tag_that_no_version_has_matches_nothing(tag: str) -> None:
    assert _asked(TaggedPlan, Precondition(versions=frozenset({tag}))) == ["0"]


def test_refuses_to_expect_a_version_of_what_has_none() -> None:
    with pytest.raises(ConfigurationError, match="UntaggedPlan has no version"):
        version_conditions(shape_of(UntaggedPlan), 1)

"""The query string of a list."""

import pytest

from patients.domains.patients.query import (
    Condition,
    Operator,
    Order,
    PatientQuery,
    QueryError,
    Window,
    parse_query,
)
from patients.domains.patients.schemas import PatientField


def test_asks_for_everything_without_parameters() -> None:
    assert parse_query("") == PatientQuery()


@pytest.mark.parametrize(
    ("query_string", "operator"),
    [
        ("patientID=x", Operator.EQ),
        ("patientID_ne=x", Operator.NE),
        ("patientID_gte=x", Operator.GTE),
        ("patientID_lte=x", Operator.LTE),
    ],
)
def test_reads_the_operator_from_the_end_of_the_name(query_string: str, operator: Operator) -> None:
    condition = Condition(field=PatientField.PATIENT_ID, operator=operator, values=("x",))

    assert parse_query(query_string).conditions == (condition,)


@pytest.mark.parametrize(
    "query_string",
    ["name=a&name=b", "name[]=a&name[]=b", "name%5B0%5D=a&name[1]=b", "name=a&name[]=b"],
)
def test_collects_the_values_of_a_name(query_string: str) -> None:
    (condition,) = parse_query(query_string).conditions

    assert condition.values == ("a", "b")


@pytest.mark.parametrize("query_string", ["nothing=1", "_=1", "_expand=x", "callback=f", "&&", "%"])
def test_ignores_what_json_server_ignores(query_string: str) -> None:
    assert parse_query(query_string) == PatientQuery()


def test_finds_nobody_by_a_field_that_nobody_has() -> None:
    (condition,) = parse_query("bloodType_like=(").conditions

    assert condition.field is None


@pytest.mark.parametrize(
    ("query_string", "window"),
    [
        ("_page=2", Window(offset=10, limit=10, page=2)),
        ("_page=3&_limit=5", Window(offset=10, limit=5, page=3)),
        ("_page=0", Window(offset=0, limit=10, page=1)),
        ("_page=undefined&_limit=NaN", Window(offset=0, limit=10, page=1)),
        ("_page=1&_start=5&_end=6", Window(offset=0, limit=10, page=1)),
        ("_start=5&_end=8&_limit=1", Window(offset=5, limit=3)),
        ("_start=8&_end=5", Window(offset=8, limit=0)),
        ("_start=5&_limit=3", Window(offset=5, limit=3)),
        ("_limit=0", Window(offset=0, limit=0)),
        ("_start=5", None),
        ("_page=&_limit=&_end=", None),
        ("_page=" + "9" * 400, Window(offset=2**53, limit=10, page=int("9" * 400))),
        ("_limit=" + "9" * 400, Window(offset=0, limit=2**53)),
    ],
)
def test_reads_the_part_that_is_wanted(query_string: str, window: Window | None) -> None:
    assert parse_query(query_string).window == window


def test_reads_the_order_with_a_direction_for_each_field() -> None:
    orders = parse_query("_sort=gender,nothing,age,name,age&_order=DESC,asc,desc").order

    assert orders == (
        Order(field=PatientField.GENDER, descending=True),
        Order(field=PatientField.AGE, descending=True),
        Order(field=PatientField.NAME, descending=False),
    )


@pytest.mark.parametrize(
    ("query_string", "name"),
    [
        ("name_like=[a]", "name_like"),
        ("_limit=-1", "_limit"),
        ("_page=1&_limit=-1", "_limit"),
        ("_start=-1&_end=5", "_start"),
        ("_end=-1", "_end"),
        ("_sort=name&_sort=age", "_sort"),
        ("_sort=name&_order=asc&_order=desc", "_order"),
        ("q=" + "a" * 1001, "q"),
        ("name=%00", "name"),
    ],
)
def test_names_the_parameter_that_it_refuses(query_string: str, name: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(query_string)

    assert [fault.path for fault in caught.value.fields] == [(name,)]
    assert {fault.location for fault in caught.value.fields} == {"query"}


def test_names_every_parameter_that_it_refuses() -> None:
    with pytest.raises(QueryError) as caught:
        parse_query("age_like=(&_limit=-1&name_like=[a]&name_like=[b]")

    assert [fault.path for fault in caught.value.fields] == [
        ("age_like",),
        ("name_like",),
        ("_limit",),
    ]


def test_refuses_more_parameters_than_anyone_needs() -> None:
    with pytest.raises(QueryError, match="more than 500"):
        parse_query("&".join(["id=1"] * 501))

from dataclasses import replace

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.naming import check_names, pluralize, resource_names
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.specification import ResourceSpecification


def resource(name: str, *words: str, plural: str | None = None) -> ResourceSpecification:
    one, several = resource_names(name, plural)
    fields = parse_fields(words or ("number:string",))
    return ResourceSpecification(name=one, plural=several, fields=fields)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("order", "orders"),
        ("category", "categories"),
        ("day", "days"),
        ("address", "addresses"),
        ("box", "boxes"),
        ("branch", "branches"),
        ("analysis", "analyses"),
        ("status", "statuses"),
        ("sales_person", "sales_people"),
        ("order_line", "order_lines"),
    ],
)
def test_knows_what_several_are_called(one: str, several: str) -> None:
    assert pluralize(one) == several
    assert resource_names(one) == (one, several)


@pytest.mark.parametrize("name", ["OrderLine", "order-line", "Order line", "order_line"])
def test_takes_a_name_as_people_write_it(name: str) -> None:
    assert resource_names(name) == ("order_line", "order_lines")


@pytest.mark.parametrize("name", ["orders", "invoices", "categories"])
def test_asks_for_the_name_of_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like several"):
        resource_names(name)


def test_takes_a_name_that_looks_like_several_with_its_plural() -> None:
    assert resource_names("lens", "lenses") == ("lens", "lenses")


@pytest.mark.parametrize("name", ["staff", "news"])
def test_asks_what_several_are_called_if_it_does_not_know(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--plural"):
        resource_names(name)


@pytest.mark.parametrize("name", ["", "1st", "a.b", "order_", "_order", "ordér", "x" * 41])
def test_refuses_what_is_no_name(name: str) -> None:
    with pytest.raises(ConfigurationError):
        resource_names(name)


def test_refuses_one_name_for_one_and_several() -> None:
    with pytest.raises(ConfigurationError, match="names of their own"):
        resource_names("sheep", "sheep")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("class", "word of Python"),
        ("type", "word of Python"),
        ("request", "code of every resource"),
        ("model", "a module of every domain"),
        ("customer", "a domain .customers. in shop.domains"),
    ],
)
def test_refuses_a_name_that_is_taken(name: str, said: str, service: Service) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_names(resource(name), service)


def test_refuses_a_model_and_a_table_that_are_there(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="a model Customer already"):
        check_names(resource("customer", plural="clientele"), service)

    with pytest.raises(ConfigurationError, match="has the table 'customer'"):
        check_names(replace(resource("patron"), table="customer"), service)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("class:string", "word of Python"),
        ("order:string", "word of SQL"),
        ("limit:integer", "word of SQL"),
        ("id:uuid", "a meaning already"),
        ("created_at:datetime", "a meaning already"),
        ("version:integer", "a meaning already"),
        ("copy:string", "have already"),
        ("metadata:json", "have already"),
        ("model_dump_kind:string", "have already"),
        ("l:string", "looks like 1"),
        ("customer:ref=supplier", "no such model; there are: customer"),
        ("parent:ref=order", "make it optional"),
    ],
)
def test_refuses_a_field_that_cannot_be(word: str, said: str, service: Service) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_names(resource("order", word), service)


def test_refuses_two_fields_of_one_name(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="two fields 'customer_id'"):
        check_names(resource("order", "customer:ref=customer", "customer_id:uuid"), service)


def test_refuses_a_resource_without_fields(service: Service) -> None:
    empty = ResourceSpecification(name="order", plural="orders", fields=())

    with pytest.raises(ConfigurationError, match="at least one field"):
        check_names(empty, service)


@pytest.mark.parametrize("word", ["parent:ref=order?", "user:ref=customer", "type:string"])
def test_takes_what_only_looks_taken(word: str, service: Service) -> None:
    check_names(resource("order", word), service)


def test_calls_a_table_by_its_plural_if_one_is_a_word_of_sql(service: Service) -> None:
    assert resource("order").table_name == "orders"
    assert resource("invoice").table_name == "invoice"

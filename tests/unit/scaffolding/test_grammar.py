import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_field, parse_fields, to_member, word_of
from fastapi_baseline.scaffolding.specification import FieldSpecification, FieldType


@pytest.mark.parametrize(
    ("word", "field"),
    [
        (
            "number:string(20)!",
            FieldSpecification(name="number", type=FieldType.STRING, max_length=20, is_unique=True),
        ),
        (
            "total:decimal(12,2)",
            FieldSpecification(name="total", type=FieldType.DECIMAL, precision=12, scale=2),
        ),
        (
            "weight:decimal(5)",
            FieldSpecification(name="weight", type=FieldType.DECIMAL, precision=5, scale=0),
        ),
        (
            "status:enum(open|in progress)#",
            FieldSpecification(
                name="status",
                type=FieldType.ENUM,
                choices=("open", "in progress"),
                is_indexed=True,
            ),
        ),
        (
            "customer:ref=customer?",
            FieldSpecification(
                name="customer", type=FieldType.REFERENCE, reference="customer", is_optional=True
            ),
        ),
        ("paidAt:datetime", FieldSpecification(name="paid_at", type=FieldType.DATETIME)),
        (
            "customer_id:ref=Customer",
            FieldSpecification(name="customer", type=FieldType.REFERENCE, reference="customer"),
        ),
    ],
)
def test_reads_a_field(word: str, field: FieldSpecification) -> None:
    assert parse_field(word) == field


@pytest.mark.parametrize("kind", [it for it in FieldType if it not in {"enum", "ref"}])
def test_reads_each_type_without_more(kind: FieldType) -> None:
    assert parse_field(f"value:{kind}").type is kind


@pytest.mark.parametrize(
    "word",
    [
        "number:string(20)!",
        "total:decimal(12,2)?#",
        "status:enum(open|paid)",
        "customer:ref=customer!",
        "note:text(500)?",
        "mail:email",
    ],
)
def test_writes_a_field_as_it_is_read(word: str) -> None:
    field = parse_field(word)

    assert parse_field(word_of(field)) == field


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("number", "NAME:TYPE"),
        (":string", "NAME:TYPE"),
        ("number:", "NAME:TYPE"),
        ("number:string(20", "NAME:TYPE"),
        ("number:strong", "no type 'strong'; there are string, text"),
        ("number:string(0)", "1 to 10000"),
        ("number:string(x)", "1 to 10000"),
        ("number:string(²)", "1 to 10000"),
        ("number:integer(4)", "nothing in brackets"),
        ("total:decimal(2,3)", "its digits"),
        ("total:decimal(39)", "its digits"),
        ("total:decimal(,)", "its digits"),
        ("status:enum", "enum(open|paid)"),
        ("status:enum()", "enum(open|paid)"),
        ("status:enum(open|)", "enum(open|paid)"),
        ("status:enum(open|Open)", "same name in Python"),
        (f"status:enum({'x' * 65})", "at most 64"),
        ("customer:ref", "ref=RESOURCE"),
        ("customer:uuid=customer", "ref=RESOURCE"),
        ("total:integer??", "twice"),
        ("settings:json!", "cannot be unique"),
        ("note:text#", "cannot be indexed"),
        ("paid:boolean!", "cannot be unique"),
    ],
)
def test_says_what_is_wrong_with_a_field(word: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fields([word])

    assert said in caught.value.message
    assert repr(word) in caught.value.message


@pytest.mark.parametrize(
    ("choice", "member"),
    [("open", "OPEN"), ("in progress", "IN_PROGRESS"), ("3", "VALUE_3"), ("onHold", "ON_HOLD")],
)
def test_names_the_members_of_an_enumeration(choice: str, member: str) -> None:
    assert to_member(choice) == member

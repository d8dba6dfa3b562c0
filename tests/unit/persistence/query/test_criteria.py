"""What a class of queries takes from a request, and what it refuses, without a database."""

import enum
import re
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Query
from httpx2 import AsyncClient
from pydantic import ConfigDict, Field, ValidationError, create_model
from pydantic.alias_generators import to_camel
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Enum,
    ForeignKey,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Uuid,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship, synonym

from fastapi_baseline import Settings, create_app
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import UTCDateTime
from fastapi_baseline.persistence.query.criteria import Criteria, CursorQuery, ListQuery
from fastapi_baseline.persistence.query.operators import (
    In,
    IsNull,
    Range,
    Text,
    on,
    parameter,
    via,
)
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.testing import running

ModelT = TypeVar("ModelT")


class Grade(enum.Enum):
    FINE = "fine"
    COARSE = "coarse"


class Channel(enum.StrEnum):
    WEB = "web"
    SHOP = "shop"


Serial = NewType("Serial", int)


class Model(DeclarativeBase):
    type_annotation_map = {datetime: UTCDateTime}  # noqa: RUF012 -- SQLAlchemy declares its type


class Grower(Model):
    __tablename__ = "grower"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    password: Mapped[str] = mapped_column(info={"secret": True})


class Chest(Model):
    __tablename__ = "chest"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(50))
    other_label: Mapped[str | None] = synonym("label")
    weight: Mapped[int | None]
    rank: Mapped[int] = mapped_column(SmallInteger)
    serial: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    free_price: Mapped[Decimal] = mapped_column(Numeric())
    float_price: Mapped[float] = mapped_column(Numeric(10, 2, asdecimal=False))
    ratio: Mapped[float]
    grade: Mapped[Grade]
    channel: Mapped[str] = mapped_column(String(10))
    size: Mapped[str] = mapped_column(Enum("small", "large", name="size"))
    sealed: Mapped[bool]
    picked_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    local_at: Mapped[datetime] = mapped_column(DateTime)
    picked_on: Mapped[date]
    picked_by: Mapped[time]
    aged: Mapped[timedelta]
    code: Mapped[UUID]
    text_code: Mapped[str] = mapped_column(Uuid(as_uuid=False))
    photo: Mapped[bytes] = mapped_column(LargeBinary)
    extra: Mapped[Any] = mapped_column(JSON)
    secret_code: Mapped[str] = mapped_column(info={"secret": True})
    grower_id: Mapped[int] = mapped_column(ForeignKey("grower.id"))
    grower: Mapped[Grower] = relationship()

    @hybrid_property
    def heavy(self) -> bool:
        return (self.weight or 0) > 10


class ChestQuery(
    ListQuery[Chest],
    sort=(Chest.picked_at, Chest.label, Chest.due_at.nulls_first()),
    default_sort="-picked_at",
    search=(Chest.label, via(Chest.grower, Grower.name)),
):
    label: Text | None = None
    """What is written on it."""
    labels: Annotated[In[str] | None, on(Chest.label)] = None
    weight: Range[int] | None = None
    exact_weight: Annotated[int | None, on(Chest.weight)] = None
    rank: Annotated[Range[int] | None, Field(examples=[7], deprecated=True)] = None
    serial: Range[Serial] | None = None
    price: Range[Decimal] | None = None
    free_price: Range[Decimal] | None = None
    float_price: Range[float] | None = None
    ratio: Range[float] | None = None
    grade: In[Grade] | None = None
    channel: In[Channel] | None = None
    size: In[str] | None = None
    sizes: Annotated[In[Literal["small"]] | None, on(Chest.size)] = None
    sealed: bool | None = None
    picked_at: Range[datetime] | None = None
    due_at: IsNull | None = None
    local_at: Range[datetime] | None = None
    picked_on: Range[date] | None = None
    picked_by: Range[time] | None = None
    aged: Range[timedelta] | None = None
    code: In[UUID] | None = None
    text_code: In[str] | None = None
    grower: Annotated[In[str] | None, via(Chest.grower, Grower.name)] = None
    mine: Annotated[bool, parameter()] = False


class ChestCursorQuery(CursorQuery[Chest], sort=(Chest.id,)):
    pass


@pytest.fixture
async def client() -> AsyncGenerator[AsyncClient]:
    app = create_app(Settings(), configure_logging=False)

    @app.get("/chests")
    async def list_chests(query: Annotated[ChestQuery, Query()]) -> str:
        return repr(query)

    @app.get("/on")
    async def scroll_chests(query: Annotated[ChestCursorQuery, Query()]) -> str:
        return repr(query)

    async with running(app, raise_app_exceptions=True) as client:
        yield client


def _define(fields: dict[str, Any], **keywords: Any) -> None:
    create_model("Wrong", __base__=ListQuery[Chest], __cls_kwargs__=keywords, **fields)


def _signature(query: str) -> str:
    return ChestQuery.model_validate(parse_qs(query, keep_blank_values=True)).signature()


async def _ask(client: AsyncClient, query: str, path: str = "/chests") -> Any:
    response = await client.get(f"{path}?{query}")
    if response.status_code == 200:
        return response.json()
    body = response.json()
    return response.status_code, [(error["pointer"], error["code"]) for error in body["errors"]]


_REFUSED: list[dict[str, Any]] = [
    {"rank": Range(lte=2**15)},
    {"rank": Range(gte=-(2**15) - 1)},
    {"weight": Range(lte=2**31)},
    {"exact_weight": 2**31},
    {"serial": Range(lte=2**63)},
    {"serial": Range(lte=10**400)},
    {"price": Range(lte=Decimal("1.105"))},
    {"price": Range(lte=Decimal(10**8))},
    {"price": Range(lte=Decimal("NaN"))},
    {"ratio": Range(lte=float("nan"))},
    {"ratio": Range(gte=float("-inf"))},
    {"picked_at": Range(gte=datetime(2026, 1, 1))},  # noqa: DTZ001
    {"picked_at": Range(gte=datetime.fromisoformat("0001-01-01T00:00:00+01:00"))},
    {"picked_at": Range(gte=datetime.fromisoformat("9999-12-31T23:59:59-01:00"))},
    {"picked_by": Range(gte=time(1, tzinfo=UTC))},
    {"aged": Range(gte=timedelta.max)},
    {"label": Text(eq="a\0")},
    {"label": Text(contains="")},
    {"label": Text(startswith="")},
    {"label": Text(contains="\ud800")},
    {"label": Text(contains="x" * 1_001)},
    {"labels": In(["\0"])},
    {"labels": In[str]([])},
    {"id": In(range(101))},
    {"text_code": In(["x"])},
    {"q": ""},
    {"q": "\0"},
    {"limit": 0},
    {"limit": 101},
    {"offset": -1},
    {"offset": 100_001},
    {"sort": ("serial",)},
    {"sort": ("id", "-id")},
]  # fmt: skip


@pytest.mark.parametrize("asked", _REFUSED)
def test_refuses_what_no_column_could_have(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChestQuery(**asked)


_UNDERSTOOD: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("grade=fine", {"grade": In([Grade.FINE])}),
    ("grade=fine&grade=coarse", {"grade": In([Grade.FINE, Grade.COARSE])}),
    ("labels=a,b", {"labels": In(["a,b"])}),
    ("size=small", {"size": In(["small"])}),
    ("weight[gte]=1&weight[lt]=5", {"weight": Range(gte=1, lt=5)}),
    ("weight%5Bgt%5D=1", {"weight": Range(gt=1)}),
    ("serial[gt]=-9223372036854775808", {"serial": Range(gt=Serial(-(2**63)))}),
    ("label[contains]=%25&label[ne]=", {"label": Text(contains="%", ne="")}),
    ("label[startswith]=a&label[eq]=b", {"label": Text(startswith="a", eq="b")}),
    ("due_at[is_null]=true", {"due_at": IsNull()}),
    ("due_at[is_null]=false", {"due_at": IsNull(is_null=False)}),
    ("sealed=true", {"sealed": True}),
    ("sealed=0", {"sealed": False}),
    ("exact_weight=7", {"exact_weight": 7}),
    (
        "picked_at[gte]=2026-01-02T03:04:05%2B01:00",
        {"picked_at": Range(gte=datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC))},
    ),
    ("local_at[lt]=2026-01-02", {"local_at": Range(lt=datetime(2026, 1, 2))}),  # noqa: DTZ001
    ("picked_on[lte]=2026-01-02", {"picked_on": Range(lte=date(2026, 1, 2))}),
    ("picked_by[gt]=10:30", {"picked_by": Range(gt=time(10, 30))}),
    ("aged[gt]=P1DT1S", {"aged": Range(gt=timedelta(1, 1))}),
    ("price[gt]=1.10", {"price": Range(gt=Decimal("1.10"))}),
    ("float_price[gt]=1.10", {"float_price": Range(gt=1.1)}),
    ("grower=Ann&grower=Bob", {"grower": In(["Ann", "Bob"])}),
    ("q=green", {"q": "green"}),
    ("sort=label", {"sort": ("label",)}),
    ("sort=-label,due_at", {"sort": ("-label", "due_at")}),
    ("sort=-label&sort=due_at", {"sort": ("-label", "due_at")}),
    ("limit=100&offset=100000", {"limit": 100, "offset": 100_000}),
    ("mine=true", {"mine": True}),
]


@pytest.mark.parametrize(("query", "fields"), _UNDERSTOOD)
async def test_understands(client: AsyncClient, query: str, fields: dict[str, Any]) -> None:
    assert await _ask(client, query) == repr(ChestQuery(**fields))


_NOT_UNDERSTOOD: list[tuple[str, list[tuple[str, str]]]] = [
    # What the class does not have.
    ("nosuch=1", [("#/nosuch", "extra_forbidden")]),
    ("secret_code=1", [("#/secret_code", "extra_forbidden")]),
    ("metadata=1", [("#/metadata", "extra_forbidden")]),
    ("__class__=1", [("#/__class__", "extra_forbidden")]),
    ("parameter_1=1", [("#/parameter_1", "extra_forbidden")]),
    ("weight=1", [("#/weight", "extra_forbidden")]),
    ("weight[]=1", [("#/weight%5B%5D", "extra_forbidden")]),
    ("weight[foo]=1", [("#/weight%5Bfoo%5D", "extra_forbidden")]),
    ("weight[gte][lt]=1", [("#/weight%5Bgte%5D%5Blt%5D", "extra_forbidden")]),
    ("weight[contains]=1", [("#/weight%5Bcontains%5D", "extra_forbidden")]),
    ("grade[gte]=fine", [("#/grade%5Bgte%5D", "extra_forbidden")]),
    ("cursor=x", [("#/cursor", "extra_forbidden")]),
    ("=1", [("#/", "extra_forbidden")]),
    # What is said twice, and not at all.
    ("limit=1&limit=2", [("#/limit", "repeated_parameter")]),
    ("sealed=true&sealed=true", [("#/sealed", "repeated_parameter")]),
    ("weight[gte]=1&weight[gte]=2", [("#/weight%5Bgte%5D", "repeated_parameter")]),
    ("q=a&q=b", [("#/q", "repeated_parameter")]),
    ("weight[gte]=", [("#/weight%5Bgte%5D", "int_parsing")]),
    ("picked_at[gte]=", [("#/picked_at%5Bgte%5D", "datetime_from_date_parsing")]),
    ("label[contains]=", [("#/label%5Bcontains%5D", "string_too_short")]),
    ("q=", [("#/q", "string_too_short")]),
    ("grade=", [("#/grade/0", "enum")]),
    ("limit=", [("#/limit", "int_parsing")]),
    # Values.
    ("grade=fine&grade=x", [("#/grade/1", "enum")]),
    ("grade=FINE", [("#/grade/0", "enum")]),
    ("channel=x", [("#/channel/0", "enum")]),
    ("size=medium", [("#/size/0", "literal_error")]),
    ("sizes=large", [("#/sizes/0", "literal_error")]),
    ("code=x", [("#/code/0", "uuid_parsing")]),
    ("text_code=x", [("#/text_code/0", "uuid_parsing")]),
    ("sealed=perhaps", [("#/sealed", "bool_parsing")]),
    ("exact_weight=null", [("#/exact_weight", "int_parsing")]),
    ("weight[gte]=2147483648", [("#/weight%5Bgte%5D", "less_than_equal")]),
    ("serial[gte]=1" + "0" * 400, [("#/serial%5Bgte%5D", "less_than_equal")]),
    ("serial[gte]=1" + "0" * 5000, [("#/serial%5Bgte%5D", "int_parsing_size")]),
    ("ratio[gte]=nan", [("#/ratio%5Bgte%5D", "finite_number")]),
    ("ratio[gte]=1e999", [("#/ratio%5Bgte%5D", "finite_number")]),
    ("price[gte]=Infinity", [("#/price%5Bgte%5D", "finite_number")]),
    ("price[gte]=1.005", [("#/price%5Bgte%5D", "decimal_max_places")]),
    ("price[gte]=1e400000", [("#/price%5Bgte%5D", "decimal_max_digits")]),
    ("free_price[gte]=1e400000", [("#/free_price%5Bgte%5D", "decimal_max_digits")]),
    ("float_price[gte]=1.005", [("#/float_price%5Bgte%5D", "decimal_max_places")]),
    ("picked_at[gte]=2026-01-02T03:04:05", [("#/picked_at%5Bgte%5D", "timezone_aware")]),
    ("picked_at[gte]=2026-01-02", [("#/picked_at%5Bgte%5D", "timezone_aware")]),
    ("picked_at[gte]=1767323045", [("#/picked_at%5Bgte%5D", "number_for_time")]),
    ("picked_at[gte]=0001-01-01T00:00:00%2B01:00", [("#/picked_at%5Bgte%5D", "out_of_range")]),
    ("local_at[gte]=2026-01-02T03:04:05Z", [("#/local_at%5Bgte%5D", "timezone_naive")]),
    ("picked_on[gte]=20000", [("#/picked_on%5Bgte%5D", "number_for_time")]),
    ("picked_by[gt]=10:30Z", [("#/picked_by%5Bgt%5D", "timezone_naive")]),
    ("label[eq]=%00", [("#/label%5Beq%5D", "unstorable_text")]),
    ("grower=a%00", [("#/grower/0", "unstorable_text")]),
    ("q=%00", [("#/q", "unstorable_text")]),
    # Orders and pages.
    ("sort=", [("#/sort/0", "literal_error")]),
    ("sort=weight", [("#/sort/0", "literal_error")]),
    ("sort=secret_code", [("#/sort/0", "literal_error")]),
    ("sort=metadata", [("#/sort/0", "literal_error")]),
    ("sort=--label", [("#/sort/0", "literal_error")]),
    ("sort=label,", [("#/sort/1", "literal_error")]),
    ("sort=label,-label", [("#/sort", "repeated_sort")]),
    ("limit=0", [("#/limit", "greater_than_equal")]),
    ("limit=101", [("#/limit", "less_than_equal")]),
    ("offset=-1", [("#/offset", "greater_than_equal")]),
    ("offset=100001", [("#/offset", "less_than_equal")]),
    ("offset=9223372036854775808", [("#/offset", "less_than_equal")]),
]


@pytest.mark.parametrize(("query", "errors"), _NOT_UNDERSTOOD)
async def test_refuses(client: AsyncClient, query: str, errors: list[tuple[str, str]]) -> None:
    assert await _ask(client, query) == (422, errors)


async def test_takes_a_cursor_of_bounded_length(client: AsyncClient) -> None:
    taken = await _ask(client, f"cursor={'x' * 4096}", "/on")
    refused = [await _ask(client, query, "/on") for query in ("cursor=" + "x" * 4097, "cursor=")]

    assert taken == repr(ChestCursorQuery(cursor="x" * 4096))
    assert refused == [
        (422, [("#/cursor", "string_too_long")]),
        (422, [("#/cursor", "string_too_short")]),
    ]


async def test_has_no_offset_where_there_is_a_cursor_and_no_search_where_nothing_is_searched(
    client: AsyncClient,
) -> None:
    assert await _ask(client, "offset=1", "/on") == (422, [("#/offset", "extra_forbidden")])
    assert await _ask(client, "q=x", "/on") == (422, [("#/q", "extra_forbidden")])


async def test_documents_each_parameter(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    parameters = {
        parameter["name"]: parameter
        for parameter in document["paths"]["/chests"]["get"]["parameters"]
    }

    assert parameters["sort"]["schema"]["items"]["enum"] == [
        *("picked_at", "-picked_at", "label", "-label", "due_at", "-due_at"),
    ]
    assert parameters["sort"]["schema"]["default"] == ["-picked_at"]
    assert parameters["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 20,
        "title": "Limit",
        "description": "How many to return at most.",
    }
    assert parameters["picked_at[gte]"]["schema"]["format"] == "date-time"
    assert parameters["picked_at[gte]"]["description"] == "This or more."
    assert parameters["label[eq]"]["description"] == "What is written on it. Exactly this."
    assert parameters["rank[gt]"]["schema"]["examples"] == [7]
    assert parameters["rank[gt]"]["deprecated"] is True
    assert parameters["rank[gt]"]["schema"]["minimum"] == -32768
    assert parameters["grade"]["schema"]["items"] == {"$ref": "#/components/schemas/Grade"}
    assert parameters["size"]["schema"]["items"]["enum"] == ["small", "large"]
    assert not {"picked_at", "weight", "label"} & parameters.keys()
    assert not [name for name, parameter in parameters.items() if parameter["required"]]


async def test_works_for_a_model_without_a_class_of_its_own() -> None:
    app = FastAPI()

    @app.get("/")
    async def list_chests(query: Annotated[ListQuery[Chest], Query()]) -> int:
        return query.limit

    async with running(app, raise_app_exceptions=True) as client:
        assert (await client.get("/?limit=3")).json() == 3
        assert (await client.get("/?weight=3")).status_code == 422


def test_is_frozen_and_compared_by_value() -> None:
    one = ChestQuery(weight=Range(gte=1), grade=In([Grade.FINE, Grade.FINE]))
    other = ChestQuery(weight=Range(gte=1), grade=In([Grade.FINE]))

    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(ValidationError):
        setattr(one, "limit", 1000)  # noqa: B010 -- type checkers refuse it too


def test_gives_back_what_it_was_given() -> None:
    query = ChestQuery(weight=Range(gte=1), label=None, q=None)

    assert query.weight == Range(gte=1)
    assert query.model_dump(exclude_unset=True)["weight"]["gte"] == 1
    assert ChestQuery.model_validate(query) is query


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grade=fine&grade=coarse", "grade=coarse&grade=fine&grade=fine"),
        ("weight[gte]=1&weight[lt]=2", "weight[lt]=2&weight[gte]=1"),
        ("price[gte]=1.10", "price[gte]=1.1"),
        ("price[gte]=-0.00", "price[gte]=0"),
        ("free_price[gte]=1e3", "free_price[gte]=1000.0"),
        ("ratio[gte]=1", "ratio[gte]=1.0"),
        ("ratio[gte]=-0.0", "ratio[gte]=0"),
        ("picked_at[gt]=2026-01-01T00:00:00Z", "picked_at[gt]=2026-01-01T01:00:00%2B01:00"),
        ("sealed=1", "sealed=true"),
        ("sort=label,due_at", "sort=label&sort=due_at"),
        ("sort=-picked_at", ""),
        ("limit=1&offset=7", "limit=2"),
        ("aged[gt]=PT60S", "aged[gt]=PT1M"),
    ],
)
def test_has_one_signature_for_one_question(one: str, other: str) -> None:
    assert _signature(one) == _signature(other)


def test_has_a_signature_of_its_own_for_every_question() -> None:
    queries = [
        *("", "grade=fine", "grade=coarse", "grade=fine&grade=coarse", "weight[gt]=1"),
        *("weight[gte]=1", "weight[lt]=1", "exact_weight=1", "rank[gt]=1", "label[eq]=1"),
        *("labels=1", "labels=1,2", "labels=1&labels=2", "label[ne]=1", "q=1", "sort=label"),
        *("sort=-label", "sort=label,due_at", "sort=due_at,label", "mine=1", "sealed=0"),
        *("due_at[is_null]=1", "due_at[is_null]=0", "price[gt]=1", "price[gt]=10"),
        *(f"free_price[gt]=1{'0' * 40}{last}" for last in "12"),
    ]

    signatures = {_signature(query) for query in queries}

    assert len(signatures) == len(queries)


def test_names_the_attributes_that_are_asked_for() -> None:
    query = ChestQuery(
        weight=Range(gt=1), labels=In(["a"]), grower=In(["a"]), sort=("due_at",), mine=True
    )

    assert query.attributes() == {"weight", "label", "due_at"}
    assert ChestQuery().attributes() == {"picked_at"}
    assert ChestQuery(q="x").attributes() == {"picked_at", "label"}


def test_sorts_as_the_class_says_if_nobody_asks() -> None:
    assert [str(clause) for clause in ChestQuery().order_by()] == ["chest.picked_at DESC"]


def test_sorts_as_it_is_asked() -> None:
    clauses = ChestQuery(sort=("-label", "due_at", "picked_at")).order_by()

    assert [str(clause) for clause in clauses] == [
        "chest.label DESC NULLS LAST",
        "chest.due_at ASC NULLS FIRST",
        "chest.picked_at ASC",
    ]


def test_has_no_order_where_none_is_declared() -> None:
    class PlainQuery(ListQuery[Chest]):
        weight: Range[int] | None = None

    assert PlainQuery().order_by() == ()
    with pytest.raises(ValidationError):
        PlainQuery(sort=("weight",))


def test_takes_orders_under_other_names() -> None:
    class NamedQuery(
        ListQuery[Chest],
        sort={"picked": Chest.picked_at, "due": Chest.due_at.nulls_last()},
        default_sort=("due", "-picked"),
    ):
        pass

    assert [str(clause) for clause in NamedQuery().order_by()] == [
        "chest.due_at ASC NULLS LAST",
        "chest.picked_at DESC",
    ]
    assert NamedQuery().attributes() == {"due_at", "picked_at"}


def test_has_the_page_sizes_of_the_class() -> None:
    class NeedleQuery(ListQuery[Chest], default_limit=20, max_limit=50, max_offset=0):
        pass

    class SmallCursorQuery(CursorQuery[Chest], default_limit=1, max_limit=2):
        pass

    assert (NeedleQuery().limit, NeedleQuery(limit=50).limit, SmallCursorQuery().limit) == (
        20,
        50,
        1,
    )
    with pytest.raises(ValidationError):
        NeedleQuery(limit=51)
    with pytest.raises(ValidationError):
        NeedleQuery(offset=1)
    with pytest.raises(ValidationError):
        SmallCursorQuery(limit=3)


def test_passes_on_what_a_base_class_has() -> None:
    class SmallQuery(ListQuery[ModelT], Generic[ModelT], default_limit=5, max_limit=10):
        mine: Annotated[bool, parameter()] = False

    class HeavyQuery(SmallQuery[Chest], sort=(Chest.weight,), default_sort="weight"):
        weight: Range[int] | None = None

    class SealedQuery(HeavyQuery, max_limit=20):
        sealed: bool | None = None

    query = SealedQuery(mine=True, weight=Range(gt=1), sealed=True, limit=20)

    assert SealedQuery().limit == 5
    assert query.attributes() == {"weight", "sealed"}
    assert "mine" in query.signature()


def test_applies_a_default_filter_until_another_is_asked_for() -> None:
    class SealedQuery(ListQuery[Chest]):
        sealed: bool = True
        grade: In[Grade] = In([Grade.FINE])

    assert "sealed" in str(SealedQuery().spec().condition)
    assert SealedQuery().grade == In([Grade.FINE])
    assert SealedQuery(grade=In([Grade.COARSE])).grade == In([Grade.COARSE])


def test_requires_a_filter_without_a_default() -> None:
    class GrowerQuery(ListQuery[Chest]):
        grower_id: int
        grade: In[Grade]

    with pytest.raises(ValidationError) as caught:
        GrowerQuery.model_validate({})

    assert [error["loc"] for error in caught.value.errors()] == [("grower_id",), ("grade",)]


def test_keeps_to_what_is_annotated() -> None:
    class BoundedQuery(ListQuery[Chest]):
        exact: Annotated[int | None, Field(ge=5), on(Chest.weight)] = None
        weight: Range[Annotated[int, Field(ge=5)]] | None = None

    assert BoundedQuery(exact=5, weight=Range(gt=5)).exact == 5
    with pytest.raises(ValidationError):
        BoundedQuery(exact=4)
    with pytest.raises(ValidationError):
        BoundedQuery(weight=Range(gt=4))


def test_has_the_name_of_an_alias_in_a_request() -> None:
    class CamelQuery(ListQuery[Chest]):
        picked_at: Range[datetime] | None = Field(default=None, alias="pickedAt")

    query = CamelQuery.model_validate({"pickedAt[gte]": "2026-01-01T00:00:00Z"})

    assert query.picked_at == Range(gte=datetime(2026, 1, 1, tzinfo=UTC))
    assert CamelQuery(pickedAt=Range(gte=datetime(2026, 1, 1, tzinfo=UTC))) == query
    with pytest.raises(ValidationError):
        CamelQuery.model_validate({"picked_at[gte]": "2026-01-01T00:00:00Z"})


def test_has_the_names_of_an_alias_generator_in_a_request() -> None:
    class CamelQuery(ListQuery[Chest], sort={"pickedAt": Chest.picked_at}):
        model_config = ConfigDict(alias_generator=to_camel)

        picked_at: Range[datetime] | None = None
        due_at: IsNull | None = None

    query = CamelQuery.model_validate({"dueAt[is_null]": ["true"], "sort": ["pickedAt"]})

    assert query.due_at == IsNull()
    assert query.attributes() == {"due_at", "picked_at"}
    with pytest.raises(ValidationError):
        CamelQuery.model_validate({"due_at[is_null]": ["true"]})


def test_refuses_unknown_parameters_whatever_the_class_is_told() -> None:
    class LaxQuery(ListQuery[Chest]):
        model_config = ConfigDict(extra="allow")

    with pytest.raises(ValidationError):
        LaxQuery.model_validate({"nosuch": "1"})


def test_lets_a_class_say_what_a_parameter_of_its_own_means() -> None:
    class OwnQuery(ListQuery[Chest]):
        mine: Annotated[bool, parameter()] = False
        tags: Annotated[list[str], parameter()] = []  # noqa: RUF012 -- Pydantic copies it

        def spec(self) -> Spec[Chest]:
            return super().spec() & Spec(Chest.grower_id == 1) if self.mine else super().spec()

    query = OwnQuery.model_validate({"mine": ["true"], "tags": ["a", "b"]})

    assert "grower_id" in str(query.spec().condition)
    assert query.tags == ["a", "b"]
    assert query.signature() != OwnQuery(mine=True).signature() != OwnQuery().signature()


def test_binds_the_value_of_an_enumeration_where_the_column_has_none() -> None:
    statement = select(Chest).where(ChestQuery(channel=In([Channel.WEB])).spec().condition)

    values = statement.compile().params.values()

    assert [type(value) for (value,) in values] == [str]


@pytest.mark.parametrize(
    ("field", "annotation"),
    [
        ("nosuch", int | None),
        ("metadata", str | None),
        ("registry", str | None),
        ("grower", int | None),
        ("heavy", bool | None),
        ("other_label", Text | None),
        ("secret_code", str | None),
        ("photo", bytes | None),
        ("extra", dict[str, Any] | None),
        ("weight", str | None),
        ("weight", In[str] | None),
        ("weight", Range[float] | None),
        ("weight", Range[int | None] | None),
        ("weight", int | str | None),
        ("weight", In[int] | Range[int] | None),
        ("weight", Text | None),
        ("weight", Range | None),
        ("label", In | None),
        ("label", In[list[str]] | None),
        ("grade", In[str] | None),
        ("grade", Text | None),
        ("size", In[Literal["huge"]] | None),
        ("size", In[Grade] | None),
        ("channel", In[Literal[1]] | None),
        ("picked_on", Range[datetime] | None),
        ("picked_at", Range[date] | None),
        ("price", Range[float] | None),
        ("text_code", Text | None),
        ("sealed", int | None),
        ("label", "Later | None"),
        ("spec", Annotated[int | None, on(Chest.weight)]),
        ("limit", Range[int] | None),
        ("a", Annotated[str | None, on(Grower.name)]),
        ("a", Annotated[str | None, on(aliased(Chest).label)]),
        ("a", Annotated[str | None, on(Chest.heavy)]),
        ("a", Annotated[str | None, via(Chest.grower, Grower.password)]),
        ("a", Annotated[str | None, via(Chest.label, Grower.name)]),
        ("a", Annotated[str | None, via(Chest.grower)]),
        ("a", Annotated[str | None, via(Grower.name)]),
        ("a", Annotated[str | None, on(Chest.label), on(Chest.channel)]),
    ],
)
@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_does_not_let_a_class_name(field: str, annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Wrong\.{field}: "):
        _define({field: (annotation, None)})


@pytest.mark.parametrize(
    "keywords",
    [
        {"sort": (Grower.name,)},
        {"sort": (Chest.grower,)},
        {"sort": (Chest.secret_code,)},
        {"sort": (Chest.heavy,)},
        {"sort": (Chest.label.desc(),)},
        {"sort": (Chest.label.desc().nulls_last(),)},
        {"sort": (Chest.label,), "default_sort": "weight"},
        {"sort": (Chest.label,), "default_sort": "--label"},
        {"default_sort": "label"},
        {"search": (Chest.weight,)},
        {"search": (Chest.secret_code,)},
        {"search": (Grower.name,)},
        {"search": (via(Chest.grower, Grower.password),)},
        {"default_limit": 101},
        {"default_limit": 0},
        {"max_limit": 0},
        {"max_limit": 10},
        {"max_offset": -1},
    ],
)
def test_does_not_let_a_class_sort_search_and_page(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        _define({}, **keywords)


def test_does_not_let_a_path_lead_to_what_is_not_related() -> None:
    class LostQuery(ListQuery[Chest]):
        grower: Annotated[str | None, via(Chest.grower, Chest.label)] = None

    with pytest.raises(ConfigurationError, match="leads to Grower"):
        LostQuery(grower="x").spec()


def test_needs_a_model() -> None:
    with pytest.raises(ConfigurationError, match="names no model"):
        Criteria()


def test_needs_a_model_that_is_mapped() -> None:
    with pytest.raises(ConfigurationError, match="is not mapped"):

        class WrongQuery(ListQuery[int]):  # pyright: ignore[reportUnusedClass]
            id: int | None = None


def test_refuses_an_unknown_keyword_of_the_class() -> None:
    with pytest.raises(TypeError, match="sorts"):
        _define({}, sorts=())


def test_is_no_dependency_since_that_would_ignore_what_it_does_not_know() -> None:
    class Sacks(ListQuery[Grower], sort=(Grower.name,)):
        name: Text | None = None

    app = FastAPI()

    with pytest.raises(ConfigurationError, match=r"Annotated\[Sacks, Query\(\)\]"):

        @app.get("/sacks")
        async def list_sacks(query: Annotated[Sacks, Depends()]) -> None:
            del query


def test_refuses_to_sort_by_a_text() -> None:
    with pytest.raises(ConfigurationError, match="sort takes columns"):

        class Sorted(ListQuery[Grower], sort=("name",)):  # pyright: ignore[reportUnusedClass] -- a mistake
            pass


async def test_documents_what_is_refused_for_more_than_one_reason(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = document["paths"]
    schemas = {
        parameter["name"]: parameter["schema"]
        for path in ("/chests", "/on")
        for parameter in operations[path]["get"]["parameters"]
    }

    pairs = [part["contains"]["enum"] for part in schemas["sort"]["allOf"]]
    assert schemas["sort"]["uniqueItems"]
    assert all(part["maxContains"] == 1 for part in schemas["sort"]["allOf"])
    assert [pair[1] for pair in pairs] == [f"-{pair[0]}" for pair in pairs]
    assert schemas["cursor"]["pattern"] == "^[A-Za-z0-9_-]+$"
    for name in ("q", "label[contains]"):
        assert not re.search(schemas[name]["pattern"], "a\0b"), name
        assert re.search(schemas[name]["pattern"], "a\nb"), name

import ast
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.rendering import find_overrides, render_resource
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.specification import KeyType, ResourceSpecification

MakeService = Callable[..., Service]

DOMAIN = PurePosixPath("src/shop/domains/orders")


def resource(*words: str, name: str = "order") -> ResourceSpecification:
    return ResourceSpecification(name=name, plural=f"{name}s", fields=parse_fields(words))


def test_gives_the_files_of_a_domain_and_its_tests(
    order: ResourceSpecification, service: Service
) -> None:
    files = render_resource(order, service)

    names = ("__init__", "models", "repository", "router", "schemas", "service")
    assert set(files) == {
        *(DOMAIN / f"{name}.py" for name in names),
        PurePosixPath("tests/domains/test_orders.py"),
    }


def test_maps_each_type_to_a_column(service: Service) -> None:
    words = [
        *("a:string(9)#", "b:text", "c:integer!", "d:bigint", "e:number?", "f:decimal(4,1)"),
        *("g:boolean", "h:date", "i:datetime", "j:uuid", "k:email", "m:url", "o:json?"),
        *("p:enum(on|off)", "customer:ref=customer", "parent:ref=order?"),
    ]

    models = " ".join(render_resource(resource(*words), service)[DOMAIN / "models.py"].split())

    for line in (
        "a: Mapped[str] = mapped_column(String(9), index=True)",
        "b: Mapped[str] = mapped_column(Text)",
        "c: Mapped[int] = mapped_column(unique=True)",
        "d: Mapped[int] = mapped_column(BigInteger)",
        "e: Mapped[float | None]",
        "f: Mapped[Decimal] = mapped_column(Numeric(4, 1))",
        "g: Mapped[bool]",
        "h: Mapped[date]",
        "i: Mapped[datetime]",
        "j: Mapped[UUID]",
        "k: Mapped[str] = mapped_column(String(254))",
        "m: Mapped[str] = mapped_column(String(2048))",
        "JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), ",
        "Enum(OrderP, native_enum=False, length=32, values_callable=_values)",
        'customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)',
        'parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.id"), index=True)',
    ):
        assert line in models, line


def test_imports_only_what_it_uses(order: ResourceSpecification, service: Service) -> None:
    for path, text in render_resource(order, service).items():
        tree = ast.parse(text)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert imported <= used, path


@pytest.mark.parametrize(
    ("auth", "extras", "there", "missing"),
    [
        ("oidc", "cache", ['RequireScopes(all=["orders:write"])', "@cached("], ["limiter"]),
        ("builtin", "ratelimit", ['RequireRoles(any=["editor"])', "limiter"], ["@cached("]),
        ("none", "cli", ["APIRouter("], ["Require", "WRITERS", "@cached(", "limiter"]),
    ],
)
def test_guards_and_caches_as_the_service_does(
    order: ResourceSpecification,
    make_service: MakeService,
    *,
    auth: str,
    extras: str,
    there: list[str],
    missing: list[str],
) -> None:
    router = render_resource(order, make_service(auth=auth, extras=extras))[DOMAIN / "router.py"]

    assert all(text in router for text in there)
    assert not any(text in router for text in missing)


@pytest.mark.parametrize("name", ["date", "datetime"])
def test_keeps_types_apart_from_fields_of_their_name(name: str, service: Service) -> None:
    files = render_resource(resource(f"{name}:{name}"), service)

    for module in ("models", "schemas"):
        assert f"dt.{name}" in files[DOMAIN / f"{module}.py"]
        assert "from datetime" not in files[DOMAIN / f"{module}.py"]


@pytest.mark.parametrize("name", ["decimal", "transaction", "cursor_page"])
def test_refuses_a_name_that_would_mean_two_things(name: str, service: Service) -> None:
    with pytest.raises(ConfigurationError, match="two meanings in"):
        render_resource(resource("total:decimal", name=name), service)


def test_keeps_a_table_that_exists(service: Service) -> None:
    table = ResourceSpecification(
        name="order",
        plural="orders",
        fields=parse_fields(["total:decimal"]),
        table="LEGACY_ORDER",
        key=KeyType.INTEGER,
        key_column="ORDER_ID",
        has_timestamps=False,
        is_versioned=False,
        unique_together=(("total",),),
    )

    files = render_resource(table, service)

    models = files[DOMAIN / "models.py"]
    assert "class Order(Base):" in models
    assert '__tablename__ = "LEGACY_ORDER"' in models
    assert 'id: Mapped[int] = mapped_column("ORDER_ID", primary_key=True)' in models
    assert "UniqueConstraint" in models
    assert "IfMatch" not in files[DOMAIN / "router.py"]
    assert "created_at" not in files[DOMAIN / "schemas.py"]
    assert "updated_at" not in files[PurePosixPath("tests/domains/test_orders.py")]


def test_takes_keys_that_are_texts(service: Service) -> None:
    table = ResourceSpecification(
        name="currency",
        plural="currencies",
        fields=parse_fields(["title:string"]),
        table="currency",
        key=KeyType.STRING,
        key_max_length=3,
    )

    files = render_resource(table, service)

    domain = PurePosixPath("src/shop/domains/currencies")
    assert (
        "id: Mapped[str] = mapped_column(String(3), primary_key=True)"
        in (files[domain / "models.py"])
    )
    assert "id: CurrencyKey" in files[domain / "schemas.py"]
    assert "max_length=3" in files[domain / "router.py"]


def test_takes_templates_of_the_service_first(
    order: ResourceSpecification, service: Service
) -> None:
    folder = service.root / ".baseline/templates/resource"
    folder.mkdir(parents=True)
    (folder / "service.py.jinja").write_text('"""Ours: {{ model }}."""\n', encoding="utf-8")
    (folder / "events.py.jinja").write_text('"""New: {{ many }}."""\n', encoding="utf-8")

    files = render_resource(order, service, overrides=find_overrides(service))

    assert files[DOMAIN / "service.py"] == '"""Ours: Order."""\n'
    assert files[DOMAIN / "events.py"] == '"""New: orders."""\n'
    assert "class OrderReader" in files[DOMAIN / "repository.py"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% if %}", "cannot be rendered"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("class:", "gives no valid Python: line 1"),
    ],
)
def test_says_which_template_is_wrong(
    template: str, said: str, order: ResourceSpecification, service: Service
) -> None:
    folder = service.root / ".baseline/templates/resource"
    folder.mkdir(parents=True)
    (folder / "service.py.jinja").write_text(template, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=said) as caught:
        render_resource(order, service, overrides=find_overrides(service))

    assert "service.py.jinja" in caught.value.message

from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.service import Access, Model, Service, read_service
from fastapi_baseline.scaffolding.specification import KeyType

MakeService = Callable[..., Service]

ORDERS = """
from fastapi_baseline.persistence import Base
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column


class NoModel:
    pass


class OrderLine(Base):
    __tablename__ = "lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
"""


@pytest.mark.parametrize(
    ("auth", "access"),
    [("oidc", Access.SCOPES), ("builtin", Access.ROLES), ("none", Access.NONE)],
)
def test_knows_how_routes_are_guarded(auth: str, access: Access, make_service: MakeService) -> None:
    assert make_service(auth=auth).access is access


def test_knows_how_routes_are_guarded_without_answers(make_service: MakeService) -> None:
    root = make_service().root
    (root / ".copier-answers.yml").unlink()

    assert read_service(root).access is Access.SCOPES
    assert make_service(extras="cli", auth="").access is Access.NONE


def test_knows_which_capabilities_it_has(make_service: MakeService) -> None:
    some = make_service(extras="cli, cache")
    assert (some.has_cache, some.has_limits, some.has_database) == (True, False, True)

    every = make_service(extras="all")
    assert (every.has_cache, every.has_limits) == (True, True)


def test_finds_models_without_importing_them(service: Service) -> None:
    folder = service.domains_folder / "lines"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (folder / "models.py").write_text(ORDERS, encoding="utf-8")

    found = read_service(service.root)

    assert found.domains == ("customers", "lines")
    assert set(found.models) == {"customer", "order_line"}
    assert found.models["order_line"] == Model(
        name="OrderLine",
        module="shop.domains.lines.models",
        domain="lines",
        table="lines",
        key=KeyType.INTEGER,
        references=("customer",),
    )


def test_says_which_file_is_no_python(service: Service) -> None:
    (service.domains_folder / "customers/models.py").write_text("class:\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"models\.py:1 is not valid Python"):
        read_service(service.root)


def test_refuses_what_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_service(tmp_path)

    (tmp_path / "pyproject.toml").write_text("[tool.baseline]\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="does not name the service's package"):
        read_service(tmp_path)

    (tmp_path / "pyproject.toml").write_text(
        '[tool.baseline]\npackage = "shop"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match="package of the service is missing"):
        read_service(tmp_path)

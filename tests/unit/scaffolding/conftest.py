"""A service in a folder, as the code that is read says it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.service import Service, read_service
from fastapi_baseline.scaffolding.specification import ResourceSpecification

PROJECT = """
[project]
dependencies = ["fastapi-baseline[{extras}]>=0.2"]

[tool.baseline]
package = "shop"

[tool.ruff]
line-length = 100
src = ["src"]
"""
CUSTOMER = '''"""How customers are stored."""

from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from sqlalchemy.orm import Mapped


class Customer(Base, UUIDPrimaryKey):
    """A customer."""

    name: Mapped[str]
'''

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path) -> MakeService:
    def make(*, extras: str = "cache,oauth2,ratelimit", auth: str = "oidc") -> Service:
        files = {
            "pyproject.toml": PROJECT.format(extras=extras),
            ".copier-answers.yml": f"_commit: v0.2.0\nauth: {auth}\n",
            "alembic/env.py": 'raise RuntimeError("It is not to be run.")\n',
            "alembic/script.py.mako": "",
            "src/shop/__init__.py": "",
            "src/shop/domains/__init__.py": "",
            "src/shop/domains/customers/__init__.py": "",
            "src/shop/domains/customers/models.py": CUSTOMER,
            "tests/conftest.py": "def app():\n    ...\n",
        }
        for name, text in files.items():
            path = tmp_path / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return read_service(tmp_path / "shop")

    return make


def find_nothing(name: str) -> None:
    """Find no formatter."""


@pytest.fixture
def formatted() -> None:
    """Let what is written be formatted, by two more processes."""


@pytest.fixture(autouse=True)
def _unformatted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "formatted" not in request.fixturenames:
        monkeypatch.setattr("fastapi_baseline.scaffolding.writing.find_spec", find_nothing)


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service()


@pytest.fixture
def order() -> ResourceSpecification:
    words = ["number:string(20)!", "total:decimal(12,2)", "customer:ref=customer", "note:text?"]
    return ResourceSpecification(name="order", plural="orders", fields=parse_fields(words))

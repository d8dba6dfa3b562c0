import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fastapi_baseline import ConfigurationError, Settings
from fastapi_baseline.discovery import configured_package, find_domains, package_of
from fastapi_baseline.errors import DomainImportError

MakePackage = Callable[[Mapping[str, str]], str]
ROUTER = "from fastapi import APIRouter\nrouter = APIRouter(prefix='/{}')\n"
_numbers = itertools.count()


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePackage:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def make(files: Mapping[str, str]) -> str:
        name = f"service_{next(_numbers)}"
        for path, content in {"__init__.py": "", **files}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return name

    return make


def test_finds_the_domains_in_the_order_of_their_names(make_package: MakePackage) -> None:
    package = make_package(
        {
            "domains/__init__.py": "",
            "domains/orders/__init__.py": "",
            "domains/orders/router.py": ROUTER.format("orders"),
            "domains/customers/__init__.py": "",
            "domains/customers/router.py": ROUTER.format("customers"),
        }
    )

    found = find_domains(package)

    assert [domain.name for domain in found] == ["customers", "orders"]
    assert [domain.router.prefix for domain in found if domain.router] == ["/customers", "/orders"]


def test_imports_the_models_of_a_domain_that_serves_nothing(make_package: MakePackage) -> None:
    package = make_package(
        {
            "domains/__init__.py": "",
            "domains/audit/__init__.py": "loaded = []",
            "domains/audit/models.py": (
                "from importlib import import_module\n"
                "import_module(__package__).loaded.append('models')\n"
            ),
        }
    )

    (domain,) = find_domains(package)

    assert domain.router is None
    assert vars(domain.module)["loaded"] == ["models"]


def test_finds_nothing_in_a_package_without_domains(make_package: MakePackage) -> None:
    assert find_domains(make_package({})) == ()


def test_passes_over_modules_that_are_no_folder(make_package: MakePackage) -> None:
    package = make_package({"domains/__init__.py": "", "domains/shared.py": "raise SystemExit"})

    assert find_domains(package) == ()


@pytest.mark.parametrize("file", ["__init__.py", "models.py", "router.py"])
def test_names_the_domain_that_cannot_be_imported(file: str, make_package: MakePackage) -> None:
    package = make_package(
        {
            "domains/__init__.py": "",
            "domains/orders/__init__.py": "",
            f"domains/orders/{file}": "import no_such_thing",
        }
    )

    with pytest.raises(DomainImportError, match=r"'orders'.*no_such_thing"):
        find_domains(package)


@pytest.mark.parametrize("content", ["", "router = 1"])
def test_names_the_domain_whose_router_is_none(content: str, make_package: MakePackage) -> None:
    package = make_package(
        {
            "domains/__init__.py": "",
            "domains/orders/__init__.py": "",
            "domains/orders/router.py": content,
        }
    )

    with pytest.raises(DomainImportError, match="'orders'"):
        find_domains(package)


def test_knows_the_package_of_settings_only_if_it_is_a_service() -> None:
    class OrderSettings(Settings):
        __module__ = "order_service.settings"

    class ScriptSettings(Settings):
        __module__ = "__main__"

    assert package_of(OrderSettings) == "order_service"
    assert package_of(ScriptSettings) is None
    assert package_of(Settings) is None


def test_reads_the_package_from_the_project_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.baseline]\npackage = "order_service"\n')

    assert configured_package(tmp_path) == "order_service"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no pyproject.toml"),
        ("", r"\[tool.baseline\] package"),
        ("[tool.baseline]\npackage = 3", r"\[tool.baseline\] package"),
        ("[tool", "not valid TOML"),
    ],
)
def test_says_what_the_project_file_lacks(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)

    with pytest.raises(ConfigurationError, match=message):
        configured_package(tmp_path)

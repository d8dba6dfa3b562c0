"""The domains of a service, found by convention.

A domain is a package below `<package>.domains`. Its submodule `models` is imported, so that its
tables are known, and the `router` of its submodule `router` is served. Neither is required, and no
list names the domains: adding a folder adds a domain.
"""

import importlib
import pkgutil
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from fastapi import APIRouter

from fastapi_baseline.errors import ConfigurationError, DomainImportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One domain of a service."""

    name: str
    module: ModuleType
    router: APIRouter | None


def find_domains(package: str) -> tuple[Domain, ...]:
    """Import the domains of `package` and return them, ordered by name.

    A package without `domains` has none.

    Raises:
        DomainImportError: If one cannot be imported, or its `router` is not an `APIRouter`.
    """
    if find_spec(f"{package}.domains") is None:
        return ()
    parent = importlib.import_module(f"{package}.domains")
    names = sorted(module.name for module in pkgutil.iter_modules(parent.__path__) if module.ispkg)
    return tuple(_import_domain(f"{package}.domains", name) for name in names)


def _import_domain(parent: str, name: str) -> Domain:
    try:
        module = importlib.import_module(f"{parent}.{name}")
        submodules = {found.name for found in pkgutil.iter_modules(module.__path__)}
        if "models" in submodules:
            importlib.import_module(f"{parent}.{name}.models")
        router = None
        if "router" in submodules:
            router = importlib.import_module(f"{parent}.{name}.router").router
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise DomainImportError(f"The domain {name!r} cannot be imported. {cause}") from error
    if router is not None and not isinstance(router, APIRouter):
        message = f"The domain {name!r} has a `router` that is not an `APIRouter`."
        raise DomainImportError(message)
    return Domain(name=name, module=module, router=router)


def package_of(settings_class: type[object]) -> str | None:
    """Return the top-level package that a settings class is defined in.

    `None` means that it does not tell: a script, or a class of this library.
    """
    package = settings_class.__module__.partition(".")[0]
    return None if package in {"__main__", __name__.partition(".")[0]} else package


def configured_package(root: Path) -> str:
    """Return the service's package, as `pyproject.toml` in `root` names it.

    Raises:
        ConfigurationError: If there is no such file, or it names none.
    """
    path = root / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"There is no pyproject.toml in {root}: call this in the folder of a service."
        raise ConfigurationError(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    package = project.get("tool", {}).get("baseline", {}).get("package")
    if not isinstance(package, str) or not package:
        message = f'{path} does not name the service\'s package: [tool.baseline] package = "…"'
        raise ConfigurationError(message)
    return package

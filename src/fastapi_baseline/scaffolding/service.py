"""What a resource must know of the service that it is added to; nothing of it is imported."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.specification import KeyType

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_REQUIREMENT = re.compile(r"fastapi[-_.]baseline\s*\[(?P<extras>[^\]]*)\]", re.IGNORECASE)
_ANSWER = re.compile(r"^auth: *['\"]?(?P<auth>\w+)", re.MULTILINE)
_KEYS = {"int": KeyType.INTEGER, "str": KeyType.STRING, "UUID": KeyType.UUID}


class Access(StrEnum):
    """How the routes of a service say who may call them."""

    SCOPES = "scopes"
    """By scopes of tokens, as `orders:read`."""
    ROLES = "roles"
    """By roles of users, who are the service's own."""
    NONE = "none"
    """Anybody may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that a service has already, as its code says."""

    name: str
    """The class: `Customer`."""
    module: str
    """Where it is: `shop.domains.customers.models`."""
    domain: str
    """The package in `domains` that has it: `customers`."""
    table: str
    key: KeyType = KeyType.UUID
    references: tuple[str, ...] = ()
    """The tables that it refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that resources are added to."""

    root: Path
    package: str
    access: Access
    has_cache: bool
    has_limits: bool
    has_database: bool
    has_app_fixture: bool
    """Whether its tests have a fixture `app`, besides `client`."""
    domains: tuple[str, ...]
    """The packages in `domains`."""
    models: Mapping[str, Model]
    """The models, by their names in snake case: `order_line`."""

    @property
    def source(self) -> Path:
        """Return the folder that its packages are in."""
        return self.root / "src" if (self.root / "src").is_dir() else self.root

    @property
    def domains_folder(self) -> Path:
        """Return the folder of its domains."""
        return self.source / self.package / "domains"


def read_service(root: Path) -> Service:
    """Return what the code of the service in a folder says; nothing is imported.

    Raises:
        ConfigurationError: If it is no service, or a file of it cannot be read.
    """
    project = _project(root)
    package = project.get("tool", {}).get("baseline", {}).get("package")
    if not isinstance(package, str) or not package.isidentifier():
        message = (
            f"{root / 'pyproject.toml'} does not name the service's package: "
            f'[tool.baseline] package = "…"'
        )
        raise ConfigurationError(message)
    source = root / "src" if (root / "src").is_dir() else root
    folder = source / package
    if not folder.is_dir():
        raise ConfigurationError(f"The package of the service is missing: there is no {folder}.")
    models = tuple(_models(folder / "domains", package))
    extras = _extras(project)
    return Service(
        root=root,
        package=package,
        access=_access(root, extras, models),
        has_cache=bool(extras & {"all", "cache"}),
        has_limits=bool(extras & {"all", "ratelimit"}),
        has_database=(root / "alembic").is_dir(),
        has_app_fixture=bool(
            re.search(r"^def app\(", _text(root / "tests/conftest.py"), re.MULTILINE)
        ),
        domains=tuple(sorted(path.parent.name for path in folder.glob("domains/*/__init__.py"))),
        models={_snake_case(model.name): model for model in models},
    )


def _project(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _extras(project: Mapping[str, Any]) -> frozenset[str]:
    requirements: Any = project.get("project", {}).get("dependencies", [])
    for requirement in cast("list[Any]", requirements):
        found = _REQUIREMENT.match(str(requirement))
        if found:
            return frozenset(extra.strip() for extra in found["extras"].split(","))
    return frozenset()


def _access(root: Path, extras: frozenset[str], models: tuple[Model, ...]) -> Access:
    """Return how routes are guarded: as the template was answered, or else as code says."""
    answered = _ANSWER.search(_text(root / ".copier-answers.yml"))
    if answered is not None:
        known = {"oidc": Access.SCOPES, "builtin": Access.ROLES, "none": Access.NONE}
        return known.get(answered["auth"], Access.SCOPES)
    if not extras & {"all", "auth", "oauth2"}:
        return Access.NONE
    return Access.ROLES if any(model.domain == "users" for model in models) else Access.SCOPES


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _models(folder: Path, package: str) -> Iterator[Model]:
    for path in sorted(folder.glob("*/models.py")):
        domain = path.parent.name
        try:
            tree = ast.parse(_text(path), filename=str(path))
        except SyntaxError as error:
            message = f"{path}:{error.lineno} is not valid Python: {error.msg}."
            raise ConfigurationError(message) from error
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and _is_model(node):
                yield _model(node, module=f"{package}.domains.{domain}.models", domain=domain)


def _is_model(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return "Base" in bases or "__tablename__" in _assignments(node)


def _model(node: ast.ClassDef, *, module: str, domain: str) -> Model:
    assigned = _assignments(node)
    table = assigned.get("__tablename__")
    named = table.value if isinstance(table, ast.Constant) else None
    key = re.search(
        r"^id: Mapped\[(\w+)\].*$", "\n".join(map(ast.unparse, node.body)), re.MULTILINE
    )
    return Model(
        name=node.name,
        module=module,
        domain=domain,
        table=named if isinstance(named, str) else _snake_case(node.name),
        key=_key_type(key[1], key[0]) if key else KeyType.UUID,
        references=tuple(dict.fromkeys(_referenced(node))),
    )


def _key_type(annotation: str, definition: str) -> KeyType:
    if annotation == "int" and "BigInteger" in definition:
        return KeyType.BIGINT
    return _KEYS.get(annotation, KeyType.UUID)


def _assignments(node: ast.ClassDef) -> dict[str, ast.expr | None]:
    found: dict[str, ast.expr | None] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            found |= {
                target.id: statement.value
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = statement.value
    return found


def _referenced(node: ast.ClassDef) -> Iterator[str]:
    """Yield the tables that the foreign keys of a model name."""
    for call in ast.walk(node):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "ForeignKey"
            and call.args
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
        ):
            yield call.args[0].value.rpartition(".")[0]


def _snake_case(name: str) -> str:
    return _WORD_START.sub("_", name).lower()

"""The files of a resource, as texts: what a specification becomes in a service."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.fields import EXAMPLE_ID, Field, literal, make_fields
from fastapi_baseline.scaffolding.service import Access, Model, Service
from fastapi_baseline.scaffolding.specification import KeyType, ResourceSpecification

TEMPLATES = Path(__file__).parent / "templates"
"""The templates of the library; one of the same name in another folder takes its place."""
OWN_TEMPLATES = PurePosixPath(".baseline/templates/resource")
"""Where a service has templates of its own."""

_MOMENT = "2026-01-31T09:30:00Z"
_KEYS = {
    KeyType.UUID: "UUID",
    KeyType.INTEGER: "int",
    KeyType.BIGINT: "int",
    KeyType.STRING: "str",
}
_ID_EXAMPLES: dict[KeyType, Any] = {
    KeyType.UUID: EXAMPLE_ID,
    KeyType.INTEGER: 1,
    KeyType.BIGINT: 1,
    KeyType.STRING: "key-1",
}


def render_resource(
    resource: ResourceSpecification, service: Service, *, overrides: Sequence[Path] = ()
) -> Mapping[PurePosixPath, str]:
    """Return the files of a resource, by their paths in the service.

    `overrides` are folders with templates of the same names as those of the library; the first
    that has one is taken. A template whose name is new gives one more file of the domain.

    Raises:
        ConfigurationError: If a template cannot be rendered, or what it gives is not Python.
    """
    with optional("jinja2", extra="cli"):
        import jinja2  # noqa: PLC0415 -- of the extra

    loader = jinja2.FileSystemLoader([*overrides, TEMPLATES])
    environment = jinja2.Environment(  # noqa: S701 -- it makes Python, and no HTML
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(literal=literal)
    values = _values(resource, service)
    files: dict[PurePosixPath, str] = {}
    for name in sorted(loader.list_templates()):
        if not name.endswith(".jinja"):
            continue
        path = _path_of(name.removesuffix(".jinja"), resource, service)
        try:
            text = environment.get_template(name).render(values)
        except jinja2.TemplateError as error:
            raise ConfigurationError(f"The template {name} cannot be rendered: {error}") from error
        files[path] = _checked(text, name, resource) if path.suffix == ".py" else text
    return files


def find_overrides(service: Service) -> tuple[Path, ...]:
    """Return the folder with templates of a service, if it has one."""
    folder = service.root / OWN_TEMPLATES
    return (folder,) if folder.is_dir() else ()


def _path_of(name: str, resource: ResourceSpecification, service: Service) -> PurePosixPath:
    if name == "test.py":
        return PurePosixPath("tests/domains") / f"test_{resource.plural}.py"
    folder = service.domains_folder.relative_to(service.root)
    return PurePosixPath(folder.as_posix()) / resource.plural / name


def _values(resource: ResourceSpecification, service: Service) -> dict[str, Any]:
    fields, is_hidden = make_fields(resource, service.models)
    one, many = resource.name.replace("_", " "), resource.plural.replace("_", " ")
    article = "an" if one[0] in "aeiou" else "a"
    references = [
        service.models[name]
        for name in resource.references
        if name != resource.name and name in service.models
    ]
    return {
        "resource": resource,
        "service": service,
        "package": service.package,
        "model": resource.model,
        "plural_model": "".join(word.capitalize() for word in resource.plural.split("_")),
        "variable": resource.name,
        "variables": resource.plural,
        "one": one,
        "many": many,
        "an": f"{article} {one}",
        "name": f"{article}_{resource.name}",
        "scope": resource.path.removeprefix("/"),
        "bases": _bases(resource),
        "is_datetime_hidden": is_hidden,
        "datetime": "dt.datetime" if is_hidden else "datetime",
        "utc": "dt.UTC" if is_hidden else "UTC",
        "enums": [field.enum for field in fields if field.enum],
        **_keys(resource),
        **_field_lists(resource, fields),
        **_examples(resource, fields),
        **_test_values(resource, service, references),
    }


def _bases(resource: ResourceSpecification) -> list[str]:
    bases = ["Base"]
    if resource.key is KeyType.UUID and resource.key_column is None:
        bases.append("UUIDPrimaryKey")
    if resource.has_timestamps:
        bases.append("Timestamps")
    if resource.is_versioned:
        bases.append("Versioned")
    return bases


def _keys(resource: ResourceSpecification) -> dict[str, Any]:
    parts = [literal(resource.key_column)] if resource.key_column else []
    limits = ""
    if resource.key is KeyType.STRING:
        parts.append(f"String({resource.key_max_length or 255})")
        limits = f"min_length=1, max_length={resource.key_max_length or 255}, "
    elif resource.key is KeyType.INTEGER:
        limits = f"ge=1, le={2**31 - 1:_}, "
    elif resource.key is KeyType.BIGINT:
        # SQLite counts only what it calls INTEGER, which has 64 bits there.
        parts.append('BigInteger().with_variant(Integer, "sqlite")')
        limits = f"ge=1, le={2**63 - 1:_}, "
    parts.append("primary_key=True")
    if resource.key is KeyType.UUID:
        parts.append("default=uuid7")
    is_own = resource.key is not KeyType.UUID or resource.key_column is not None
    return {
        "key": _KEYS[resource.key],
        "own_key": f"mapped_column({', '.join(parts)})" if is_own else "",
        "path_limits": limits,
        "id_example": _ID_EXAMPLES[resource.key],
        "has_key_text": resource.key is KeyType.STRING,
    }


def _field_lists(resource: ResourceSpecification, fields: Sequence[Field]) -> dict[str, Any]:
    kinds = {field.type for field in fields}
    is_unique = any(field.is_unique for field in fields) or resource.unique_together
    conflicts = ["UniqueViolationError"] if is_unique or resource.key is KeyType.STRING else []
    if resource.references:
        conflicts.append("ForeignKeyViolationError")
    last = "created_at" if resource.has_timestamps else "id"
    return {
        "fields": fields,
        "conflicts": conflicts,
        "unique": next((field for field in fields if field.is_unique), None),
        "sorts": [*(field.attribute for field in fields if field.is_sortable), last],
        "default_sort": "-created_at" if resource.has_timestamps else "id",
        "searches": [field.attribute for field in fields if field.is_searchable],
        "has_text": "NOT_BLANK" in "".join(field.definition for field in fields)
        or resource.key is KeyType.STRING,
        "has_email": "email" in kinds,
        "has_url": "url" in kinds,
        "has_json": "json" in kinds,
        "has_moment": "datetime" in kinds,
    }


def _examples(resource: ResourceSpecification, fields: Sequence[Field]) -> dict[str, Any]:
    values = {field.attribute: field.example for field in fields}
    key = {"id": _ID_EXAMPLES[resource.key]}
    stamps = {"created_at": _MOMENT, "updated_at": _MOMENT} if resource.has_timestamps else {}
    version = {"version": 1} if resource.is_versioned else {}
    # What is changed in tests and examples: a plain value, of which there are many.
    changed = min(fields, key=lambda field: (bool(field.referenced), not field.varies))
    stamped = [name for name in ("updated_at", "version") if name in stamps | version]
    return {
        "example_in": (key if resource.key is KeyType.STRING else {}) | values,
        "example_changes": {changed.attribute: changed.example},
        "example_out": key | values | stamps | version,
        "changed": changed,
        "stamped": [changed.attribute, *stamped],
        "optional": [field.attribute for field in fields if field.is_optional],
        "found_by": next((field for field in fields if field.varies and field.filter_key), None),
        "page_sort": "created_at" if resource.has_timestamps else "id",
    }


def _test_values(
    resource: ResourceSpecification, service: Service, references: Sequence[Model]
) -> dict[str, Any]:
    article = "an" if resource.name[0] in "aeiou" else "a"
    needs_app = bool(references) or service.access is not Access.NONE
    return {
        "references": references,
        "makes_app": needs_app and not service.has_app_fixture,
        "maker": f"{article}_{resource.name}",
    }


def _checked(text: str, template: str, resource: ResourceSpecification) -> str:
    """Return Python without imports that it does not use, if no name in it means two things."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        message = (
            f"The template {template} gives no valid Python: line {error.lineno}: {error.msg}."
        )
        raise ConfigurationError(message) from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = [name for node in tree.body for name in _bound(node) if name in used or _is_own(node)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = (
            f"{resource.name!r} or a field of it gives {twice[0]} two meanings in "
            f"{template.removesuffix('.jinja')}: add a word to its name."
        )
        raise ConfigurationError(message)
    return _without_unused_imports(text, tree, used)


def _is_own(node: ast.stmt) -> bool:
    return not isinstance(node, ast.ImportFrom | ast.Import)


def _bound(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case _:
            return []


def _without_unused_imports(text: str, tree: ast.Module, used: set[str]) -> str:
    lines = text.splitlines()
    for node in reversed(tree.body):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        kept = [alias for alias in node.names if (alias.asname or alias.name) in used]
        if len(kept) == len(node.names):
            continue
        node.names = kept
        end = node.end_lineno or node.lineno
        lines[node.lineno - 1 : end] = [ast.unparse(node)] if kept else []
    return "\n".join(_without_gaps(lines)) + "\n"


def _without_gaps(lines: Sequence[str]) -> Iterable[str]:
    """Yield lines with at most two empty ones in a row, and none at the end."""
    empty = 0
    for line in lines:
        empty = 0 if line.strip() else empty + 1
        if empty <= 2 and (line.strip() or empty):  # noqa: PLR2004 -- as formatters leave them
            yield line.rstrip()

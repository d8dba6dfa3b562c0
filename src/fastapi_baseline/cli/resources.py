"""`baseline add resource` and `baseline remove resource`, given the folder of the service."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fastapi_baseline.cli.console import print_done, print_lines, print_notice, print_steps
from fastapi_baseline.scaffolding.removal import Removal, plan_removal, remove_resource
from fastapi_baseline.scaffolding.service import Access, Service
from fastapi_baseline.scaffolding.specification import ResourceSpecification
from fastapi_baseline.scaffolding.writing import Added, Addition, add_resource, plan_addition


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a resource is added or removed."""

    is_migrated: bool = True
    is_dry_run: bool = False
    is_json: bool = False
    is_forced: bool = False
    notes: Sequence[str] = ()
    """What there is to know of where the fields were taken from."""


def add(resource: ResourceSpecification, service: Service, manner: Manner) -> None:
    """Add a resource to a service, and say what was written and what is next.

    Raises:
        ConfigurationError: If it cannot be added; nothing is written, then.
    """
    addition = plan_addition(resource, service, is_migrated=manner.is_migrated)
    if addition.is_done:
        _show_nothing(resource, manner)
        return
    if not manner.is_json:
        for note in manner.notes:
            print_notice(note)
    if manner.is_dry_run:
        _show_plan(addition, manner)
    else:
        _show_added(addition, add_resource(addition), manner)


def remove(name: str, service: Service, manner: Manner) -> None:
    """Remove a resource from a service, and say what was deleted and what is next.

    Raises:
        ConfigurationError: If it cannot be removed; nothing is deleted, then.
    """
    removal = plan_removal(service, name)
    if manner.is_dry_run:
        _show_removal(removal, manner)
        return
    removed = remove_resource(removal, is_forced=manner.is_forced, is_migrated=manner.is_migrated)
    if manner.is_json:
        _print_json(resource=removal.record.name, deleted=removed.paths, migration=removed.revision)
        return
    print_done(f"{removal.record.name} is removed: {_count(len(removed.paths), 'deleted')}.")
    if removed.revision is not None:
        print_lines([f"Written: {removed.revision}, which drops its table with all rows. Next:"])
        print_steps([("baseline db upgrade", "drop the table")])


def _show_nothing(resource: ResourceSpecification, manner: Manner) -> None:
    if manner.is_json:
        _print_json(
            resource=resource.name, written=[], migration=None, is_dry_run=manner.is_dry_run
        )
    else:
        print_done(f"{resource.name} is there already, just so: there is nothing to do.")


def _show_plan(addition: Addition, manner: Manner) -> None:
    paths = sorted(addition.files)
    if manner.is_json:
        name = addition.resource.name
        _print_json(
            resource=name, written=paths, migration=None, notes=manner.notes, is_dry_run=True
        )
        return
    print_lines([f"Would write: {path}" for path in paths])
    if addition.is_migrated:
        print_lines(["Would write: a migration in alembic/versions"])


def _show_added(addition: Addition, added: Added, manner: Manner) -> None:
    name = addition.resource.name
    if manner.is_json:
        _print_json(
            resource=name, written=added.paths, migration=added.revision, notes=manner.notes
        )
        return
    paths = [*added.paths, *([added.revision] if added.revision else [])]
    print_lines([f"Written: {path}" for path in paths])
    if added.other_tables:
        tables = ", ".join(added.other_tables)
        print_notice(f"The migration makes other tables, too, which had none yet: {tables}.")
    print_done(f"{name} is added, at {addition.resource.path}. Next:")
    print_steps(_steps(addition, added))


def _steps(addition: Addition, added: Added) -> list[tuple[str, str]]:
    steps: list[tuple[str, str]] = []
    plural = addition.resource.plural
    if added.revision is not None:
        steps.append(("baseline db upgrade", "make its table"))
    elif addition.resource.table is None:
        message = f'baseline db revision -m "create {plural}"'
        steps.append((message, "write its migration"))
    steps.append((f"pytest tests/domains/test_{plural}.py", "test it"))
    if addition.service.access is Access.SCOPES:
        scope = addition.resource.path.removeprefix("/")
        token = f"baseline auth token --scope {scope}:read --scope {scope}:write"
        steps.append((token, "be allowed to use it, in development"))
    return steps


def _show_removal(removal: Removal, manner: Manner) -> None:
    if manner.is_json:
        _print_json(
            resource=removal.record.name,
            deleted=removal.paths,
            edited=removal.edited,
            is_dry_run=True,
        )
        return
    edited = set(removal.edited)
    print_lines(
        [
            f"Would delete: {path}{' (not as it was written)' if path in edited else ''}"
            for path in removal.paths
        ]
    )


def _print_json(
    *,
    resource: str,
    is_dry_run: bool = False,
    **found: Sequence[PurePosixPath | str] | PurePosixPath | None,
) -> None:
    document: dict[str, Any] = {"resource": resource, "dry_run": is_dry_run}
    for key, value in found.items():
        if value is None or isinstance(value, PurePosixPath):
            document[key] = None if value is None else str(value)
        else:
            document[key] = [str(part) for part in value]
    print_lines([json.dumps(document, ensure_ascii=False)])


def _count(number: int, done: str) -> str:
    return f"{number} {'file' if number == 1 else 'files'} {done}"

"""`baseline check`: what is wrong with how a service is set up, before people depend on it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from fastapi_baseline.app.checks import find_faults
from fastapi_baseline.app.released_api import (
    configured_document,
    find_broken_promises,
    release,
)
from fastapi_baseline.cli.console import print_done, print_lines, print_notice, without_log
from fastapi_baseline.cli.project import FOUND_BY_DOCTOR, find_root, read_accepted_findings
from fastapi_baseline.cli.run import Target, enter, find_settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding, Inspection, Refusal, inspecting

_DEPLOYMENT = "deployment"
# What every service lacks that has just been made.
_NOT_YET = "first_migration_missing"


@dataclass(frozen=True, slots=True)
class _Found:
    """What one of the checks has found."""

    check: str
    finding: Finding


def check_service(
    target: Target, *, is_deployment: bool, is_release: bool = False, is_json: bool = False
) -> bool:
    """Say what is wrong with a service, and return whether nothing is that was not accepted.

    It is imported, and connects to nothing. Its migrations are tried on a database of their own:
    an SQLite file, or one on the server of `TEST_DATABASE_URL`. With `is_release`, what it offers
    now is what was released.

    Raises:
        ConfigurationError: If it cannot be found, or is no application of this library.
    """
    root = find_root(target.folder)
    with without_log():
        with inspecting() as inspection:
            _import(target, inspection)
        done = _release(inspection, root) if is_release else None
        all_found = list(_check(inspection, root, is_deployment=is_deployment))
    # What a service lacks only once it is deployed is no error before.
    found = [item for item in all_found if is_deployment or item.check != _DEPLOYMENT]
    accepted = read_accepted_findings(root) if root else dict[str, str]()
    reasons = {
        item.finding.id: accepted[item.finding.id]
        for item in found
        if _is_accepted(item.finding, accepted)
    }
    wrong = [item.finding for item in found if item.finding.id not in reasons]
    if is_json:
        _print_json(found, reasons, is_deployment=is_deployment)
    else:
        if done is not None:
            print_done(done)
        _print(wrong, reasons)
        for item in all_found:
            if item not in found:
                print_notice(f"Before it is deployed: {item.finding.message}")
    if is_deployment:
        # What is accepted and no longer there would hide it when it comes back.
        for name in sorted(accepted.keys() - reasons.keys() - FOUND_BY_DOCTOR):
            print_notice(f"{name} is accepted in pyproject.toml, and was not found.")
    return not wrong


def _release(inspection: Inspection, root: Path | None) -> str:
    """Write the OpenAPI document of a service to where its pyproject.toml says; return what was done.

    Raises:
        ConfigurationError: If nothing says where, or the application cannot be made.
    """
    path = configured_document(root) if root else None
    if path is None:
        message = (
            "Nothing says where the released OpenAPI document is: in pyproject.toml, "
            '[tool.baseline] openapi = "openapi.json"'
        )
        raise ConfigurationError(message)
    if not isinstance(inspection.app, FastAPI):
        reasons = " ".join(refusal.error.message for refusal in inspection.refusals)
        raise ConfigurationError(f"The application cannot be made. {reasons}")
    for finding in find_broken_promises(inspection.app, path) if path.is_file() else ():
        print_notice(f"Released: {finding.what}")
    is_changed = release(inspection.app, path)
    return f"{path.name} is {'written' if is_changed else 'what the service offers'}."


def _check(inspection: Inspection, root: Path | None, *, is_deployment: bool) -> Iterator[_Found]:
    everywhere = find_faults(inspection, is_deployment=False)
    for finding in find_faults(inspection, is_deployment=True) if is_deployment else everywhere:
        if finding.id == "undecided_route":
            yield _Found("routes", finding)
        else:
            yield _Found("settings" if finding in everywhere else _DEPLOYMENT, finding)
    # What the service is at all is not known while its settings cannot be read.
    if root is None or inspection.settings is None:
        return
    if (root / "alembic").is_dir():
        from fastapi_baseline.persistence.migrations.rehearsal import (  # noqa: PLC0415 -- an extra
            find_migration_faults,
        )

        # A command has no settings; what it is told, the environment tells it.
        server = os.environ.get("TEST_DATABASE_URL") or None  # noqa: TID251 -- as said
        for finding in find_migration_faults(root, server_url=server):
            yield _Found(_DEPLOYMENT if finding.id == _NOT_YET else "migrations", finding)
    released = configured_document(root)
    if released is not None and isinstance(inspection.app, FastAPI):
        for finding in find_broken_promises(inspection.app, released):
            yield _Found("openapi", finding)


def _import(target: Target, inspection: Inspection) -> None:
    enter(target)
    try:
        settings = find_settings(target)
    except ConfigurationError as error:
        # What was said until then can still be looked at.
        inspection.refusals.append(Refusal(error))
        return
    inspection.settings = inspection.settings or settings
    if inspection.settings is None:
        message = (
            f"{target.app!r} cannot be checked: it has called neither create_app() nor install()."
        )
        raise ConfigurationError(message)


def _is_accepted(finding: Finding, accepted: Mapping[str, str]) -> bool:
    return finding.can_be_accepted and finding.id in accepted


def _print(wrong: Sequence[Finding], reasons: Mapping[str, str]) -> None:
    print_lines([f"{item.id}: {item.message}" for item in wrong])
    for name, reason in reasons.items():
        print_lines([f"{name} (accepted): {reason}"])
    if not wrong:
        print_done("Nothing is wrong.")


def _print_json(
    found: Sequence[_Found], reasons: Mapping[str, str], *, is_deployment: bool
) -> None:
    findings: list[dict[str, Any]] = [
        {
            "check": item.check,
            "id": item.finding.id,
            "what": item.finding.what,
            "remedy": item.finding.remedy,
            "accepted": reasons.get(item.finding.id),
        }
        for item in found
    ]
    document = {"deploy": is_deployment, "findings": findings}
    print_lines([json.dumps(document, ensure_ascii=False)])

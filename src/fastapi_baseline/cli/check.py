"""`baseline check`: what is wrong with how a service is set up, before people depend on it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi_baseline.app.checks import find_faults
from fastapi_baseline.cli.console import print_done, print_lines, print_notice, without_log
from fastapi_baseline.cli.project import find_root, read_accepted_findings
from fastapi_baseline.cli.run import Target, enter, find_settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding, Inspection, Refusal, inspecting


def check_service(target: Target, *, is_deployment: bool, is_json: bool = False) -> bool:
    """Say what is wrong with a service, and return whether nothing is that was not accepted.

    It is imported and connects to nothing.

    Raises:
        ConfigurationError: If it cannot be found, or is no application of this library.
    """
    with without_log(), inspecting() as inspection:
        _import(target, inspection)
    root = find_root(target.folder)
    accepted = read_accepted_findings(root) if root else dict[str, str]()
    found = find_faults(inspection, is_deployment=is_deployment)
    reasons = {item.id: accepted[item.id] for item in found if _is_accepted(item, accepted)}
    wrong = [item for item in found if item.id not in reasons]
    if is_json:
        _print_json(found, reasons, is_deployment=is_deployment)
    else:
        _print(wrong, reasons)
    if is_deployment:
        # What is accepted and no longer there would hide it when it comes back.
        for name in sorted(accepted.keys() - reasons.keys()):
            print_notice(f"{name} is accepted in pyproject.toml, and was not found.")
    return not wrong


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
    found: Sequence[Finding], reasons: Mapping[str, str], *, is_deployment: bool
) -> None:
    findings: list[dict[str, Any]] = [
        {
            "id": item.id,
            "what": item.what,
            "remedy": item.remedy,
            "accepted": reasons.get(item.id),
        }
        for item in found
    ]
    document = {"deploy": is_deployment, "findings": findings}
    print_lines([json.dumps(document, ensure_ascii=False)])

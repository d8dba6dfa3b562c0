"""`baseline update`, `enable` and `disable`: what is new in the template comes to a service."""

import json
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from fastapi_baseline.cli.console import print_notice
from fastapi_baseline.cli.project import get_root
from fastapi_baseline.cli.update_report import (
    CHECKLIST,
    Report,
    Step,
    print_forecast,
    print_report,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.answers import (
    Answers,
    find_capabilities,
    read_answers,
    read_questions,
    switch,
)
from fastapi_baseline.releases.forecast import Forecast
from fastapi_baseline.releases.repository import (
    ReleaseRepository,
    environment,
    release_repository,
)
from fastapi_baseline.releases.updating import Change, attempt_update, open_work_tree

_NEWER_LIBRARY = (
    "A newer library has newer releases: uvx --from 'fastapi-baseline[cli]' baseline update"
)
# A program that was started by uv has these; the service's environment is another.
_OF_ANOTHER = ("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What is done with the service after its files have changed."""

    lock: bool = True
    check: bool = True
    tests: bool = True

    def commands(self, *, is_upgrade: bool) -> Iterator[tuple[str, ...]]:
        """Yield the commands that are to be run, in their order."""
        if self.lock:
            upgrade = ("--upgrade-package", "fastapi-baseline") if is_upgrade else ()
            yield ("uv", "lock", *upgrade)
        if self.check:
            yield ("uv", "run", "baseline", "check")
        if self.tests:
            yield ("uv", "run", "pytest")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    root: Path
    answers: Answers
    repository: ReleaseRepository


def update_service(
    start: Path, target: str | None, following: Following, *, is_plan: bool, is_json: bool = False
) -> bool:
    """Update the service that a folder lies in to a release, by default to the newest that there is.

    Return whether nobody has to do anything about it: no file is in conflict, and no check failed.
    A plan has nothing that could.

    Raises:
        ConfigurationError: If it cannot be updated; then nothing has changed.
    """
    root = get_root(start)
    answers = read_answers(root)
    with _in_one_line(), release_repository() as repository:
        is_newest = target is None
        target = (target or repository.newest).removeprefix("v")
        change = Change(target=target, answers={})
        service = _Service(root=root, answers=answers, repository=repository)
        is_well = _carry_out(service, change, following, is_plan=is_plan, is_json=is_json)
    if is_newest and target == answers.version and not is_json:
        print_notice(_NEWER_LIBRARY)
    return is_well


def switch_capability(
    start: Path,
    name: str,
    following: Following,
    *,
    is_on: bool,
    is_plan: bool,
    is_json: bool = False,
) -> bool:
    """Give a capability to the service that a folder lies in, or take it, at the release it is at.

    Return whether nobody has to do anything about it.

    Raises:
        ConfigurationError: If it cannot be updated; then nothing has changed.
        typer.BadParameter: If the release that it is at has no such capability.
    """
    root = get_root(start)
    answers = read_answers(root)
    with _in_one_line(), release_repository() as repository:
        changed = _switched(answers, name, repository, is_on=is_on)
        change = Change(target=answers.version, answers=changed)
        service = _Service(root=root, answers=answers, repository=repository)
        return _carry_out(service, change, following, is_plan=is_plan, is_json=is_json)


@contextmanager
def _in_one_line() -> Generator[None]:
    """Say what the system refuses, such as room for a copy of the service; nothing has changed."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"The service cannot be updated: {error}") from error


def _switched(
    answers: Answers, name: str, repository: ReleaseRepository, *, is_on: bool
) -> dict[str, list[str]]:
    with TemporaryDirectory(prefix="fastapi-baseline-") as folder:
        repository.export(answers.version, Path(folder))
        capabilities = find_capabilities(read_questions(Path(folder)))
    found = [capability for capability in capabilities if capability.name == name]
    if not found:
        known = ", ".join(capability.name for capability in capabilities)
        message = f"Release {answers.version} of the template has no {name!r}; it has {known}."
        raise typer.BadParameter(message, param_hint="CAPABILITY")
    answer = switch(answers, found[0], is_on=is_on)
    return {} if answer is None else {found[0].question: answer}


def _carry_out(
    service: _Service, change: Change, following: Following, *, is_plan: bool, is_json: bool
) -> bool:
    root, answers = service.root, service.answers
    work = open_work_tree(root)
    if not is_plan:
        work.require_clean()
    is_upgrade = change.target != answers.version
    if not is_upgrade and not change.answers:
        forecast = Forecast(source=answers.version, target=change.target, files=())
        print_report(Report(forecast=forecast, is_plan=is_plan), is_json=is_json)
        return True
    with attempt_update(work, change, answers=answers, repository=service.repository) as attempt:
        forecast = attempt.forecast
        if not is_json:
            print_forecast(forecast)
            if is_plan and work.edited:
                print_notice("What is in no commit is not in this plan.")
        if not is_plan:
            attempt.apply()
    # What is in conflict has to be decided before anything can be made of the files.
    is_over = is_plan or forecast.has_conflicts
    commands = [] if is_over else list(following.commands(is_upgrade=is_upgrade))
    steps = [_run(command, root, is_shown=not is_json) for command in commands]
    report = Report(
        forecast=forecast,
        is_plan=is_plan,
        steps=steps,
        # That the checks ran means that the service's own library is there to be asked.
        checklist=_find_checklist(root) if steps and following.check else None,
    )
    print_report(report, is_json=is_json)
    return report.is_well


def _run(command: Sequence[str], root: Path, *, is_shown: bool) -> Step:
    shown = " ".join(command)
    if is_shown:
        print_notice(f"$ {shown}")
    variables = environment()
    for name in _OF_ANOTHER:
        variables.pop(name, None)
    pipe = None if is_shown else subprocess.PIPE
    try:
        result = subprocess.run(  # noqa: S603 -- a list, and no shell
            command,
            cwd=root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            check=False,
            text=True,
        )
    except OSError as error:
        return Step(command=shown, is_well=False, said=f"{command[0]} cannot be run: {error}")
    said = (result.stdout or "") + (result.stderr or "")
    return Step(command=shown, is_well=result.returncode == 0, said=said)


def _find_checklist(root: Path) -> dict[str, Any] | None:
    """Return what the library that the service has now says is to be seen to, if it says it."""
    step = _run((*CHECKLIST, "--json"), root, is_shown=False)
    for line in step.said.splitlines():
        if step.is_well and line.startswith("{"):
            return json.loads(line)
    return None

"""What `baseline update` and its like say about what they did to a service."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_baseline.cli.checklist import describe
from fastapi_baseline.cli.console import print_done, print_lines, print_notice, print_steps
from fastapi_baseline.releases.forecast import FileForecast, Forecast, Outcome

CHECKLIST = ("uv", "run", "baseline", "update", "--checklist")
"""The command that asks the library that a service has what is to be seen to."""

_TELLS: Mapping[Outcome, str] = {
    Outcome.CONFLICT: "you and the template have changed the same lines",
    Outcome.LOST: "the template has given it up, and your edits go with it",
    Outcome.MISSED: "it is not where it was, so this does not arrive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command that was run after the files had changed."""

    command: str
    is_well: bool
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done to a service, or would be; `checklist` is None if nobody could tell."""

    forecast: Forecast
    is_plan: bool
    steps: Sequence[Step] = ()
    checklist: Mapping[str, Any] | None = None

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything about it; nothing was done by a plan."""
        if self.is_plan:
            return True
        return not self.forecast.has_conflicts and all(step.is_well for step in self.steps)


def print_forecast(forecast: Forecast) -> None:
    """Print what becomes of each file, those first that need nobody."""
    print_lines(list(_lines(forecast)))


def print_report(report: Report, *, is_json: bool) -> None:
    """Print what was done after the forecast was shown; for programs, all of it."""
    if is_json:
        _print_json(report)
    elif not report.forecast.files:
        release = report.forecast.target
        print_done(f"There is nothing to do: the service is at release {release} as it is.")
    elif report.is_plan:
        print_notice("Nothing was changed: this is the plan.")
    else:
        _say_how_it_went(report)


def _print_json(report: Report) -> None:
    steps = [
        {"command": step.command, "ok": step.is_well, "output": step.said} for step in report.steps
    ]
    document = {
        "plan": report.is_plan,
        **report.forecast.as_document(),
        "steps": steps,
        "before_you_deploy": report.checklist,
    }
    print_lines([json.dumps(document, ensure_ascii=False)])


def _lines(forecast: Forecast) -> Iterator[str]:
    """Yield what becomes of each file, those first that need nobody."""
    if forecast.source == forecast.target:
        yield f"At release {forecast.source} of the template:"
    else:
        yield f"From release {forecast.source} of the template to {forecast.target}:"
    for outcome in Outcome:
        for file in forecast.having(outcome):
            yield f"  {outcome.value.ljust(8)}  {file.path}{_remark(file)}"
            if outcome in {Outcome.LOST, Outcome.MISSED}:
                yield from (f"            {line}" for line in file.change)


def _remark(file: FileForecast) -> str:
    if file.moved_to:
        return f": it is {file.moved_to} now, where this does not arrive"
    return f": {_TELLS[file.outcome]}" if file.outcome in _TELLS else ""


def _say_how_it_went(report: Report) -> None:
    forecast, checklist = report.forecast, report.checklist
    for step in report.steps:
        if not step.is_well:
            reason = f": {step.said}" if step.said else ""
            print_notice(f"Failed: {step.command}{reason}")
    if checklist:
        lines = list(describe(checklist))
        print_lines(["Before you deploy:", *lines] if lines else [])
    if forecast.has_conflicts:
        count = len(forecast.having(Outcome.CONFLICT))
        print_notice(f"In {count} of the files there are conflicts. Next:")
        print_steps(
            [
                ("git status", "find the files, and decide between the marks"),
                ("git add FILE...", "say that it is decided"),
                ("uv lock --upgrade-package fastapi-baseline", "lock the library's version"),
                ("uv run pytest", "test it"),
            ]
        )
        return
    release = f"The service is at release {forecast.target} of the template"
    if report.is_well:
        print_done(f"{release}. Next:")
    else:
        print_notice(f"{release}, and something failed: mend it, or go back. Next:")
    following = [("git diff", "read what has changed")]
    if not checklist:
        following.append((" ".join(CHECKLIST), "see what is to be seen to"))
    print_steps([*following, ("git commit -a", "keep it; new files need git add before")])

"""`baseline new`: a service from the template of the installed version, without a network."""

import shlex
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from fastapi_baseline._extras import optional
from fastapi_baseline.cli.console import print_done, print_steps
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.answers import read_questions
from fastapi_baseline.releases.bundle import copy_template, shipped_template
from fastapi_baseline.releases.replacement import Replacement

# What an editor or `git init` leaves in a folder, and the template does not touch.
_HARMLESS = frozenset({".git", ".idea", ".vscode", ".DS_Store"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A service to make: where, and with which answers; what is not answered is asked or default."""

    folder: Path
    answers: Mapping[str, str]
    is_asking: bool


def create_service(
    directory: str | None, *, answers: Sequence[str], into: Path | None, is_asking: bool
) -> None:
    """Render the template, and say what to do next.

    Nothing is left behind when it fails, in a folder that it made.

    Raises:
        ConfigurationError: If the folder is in use, or an answer is refused.
        typer.BadParameter: If it was called wrongly.
    """
    is_asking = is_asking and sys.stdin.isatty() and sys.stdout.isatty()
    given = _parse(answers)
    directory = directory or given.get("service_name")
    if directory is None and is_asking:
        directory = typer.prompt("Name of the service, such as order-service", type=str)
    if directory is None:
        raise typer.BadParameter("Name the service: baseline new order-service")
    folder = Path(into or directory).absolute()
    given.setdefault("service_name", Path(directory).absolute().name)
    _refuse_a_folder_in_use(folder)
    with template_folder() as template:
        _render(template, Plan(folder=folder, answers=given, is_asking=is_asking))
    _say_what_is_next(folder)


@contextmanager
def template_folder() -> Generator[Path]:
    """Yield a folder with the template: that of the wheel, or of the checkout that this runs in.

    It is a copy, so that a checkout is not mistaken for a template under version control, whose
    last release would be taken instead.
    """
    with TemporaryDirectory(prefix="fastapi-baseline-") as copy:
        folder = Path(copy) / "template"
        copy_template(shipped_template(), folder)
        yield folder


def _parse(answers: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for answer in answers:
        key, equals, value = answer.partition("=")
        if not equals or not key:
            message = f"{answer!r} is not KEY=VALUE."
            raise typer.BadParameter(message, param_hint="--data")
        given[key] = value
    return given


def _refuse_a_folder_in_use(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file: name another folder.")
    if folder.is_dir():
        found = sorted({path.name for path in folder.iterdir()} - _HARMLESS)
        if found:
            message = f"{folder} is not empty (it has {found[0]}): name another folder."
            raise ConfigurationError(message)


def _render(template: Path, plan: Plan) -> None:
    with optional("copier", extra="cli"):
        import copier  # noqa: PLC0415 -- of the extra
        from copier.errors import CopierError  # noqa: PLC0415 -- likewise

    questions = list(read_questions(template))
    unknown = sorted(set(plan.answers) - set(questions))
    if unknown:
        message = f"There is no question {unknown[0]!r}; there are {', '.join(questions)}."
        raise typer.BadParameter(message, param_hint="--data")
    rendered = template.with_name("rendered")
    try:
        copier.run_copy(
            str(template),
            rendered,
            data=dict(plan.answers),
            defaults=not plan.is_asking,
            quiet=True,
        )
        _put(rendered, plan.folder)
    except KeyboardInterrupt:
        raise
    except (CopierError, OSError, TypeError, ValueError, ConfigurationError) as error:
        raise ConfigurationError(f"The service was not made. {error}") from error


def _put(rendered: Path, folder: Path) -> None:
    """Put all files of one folder into another, which may not exist yet, or none."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Replacement(folder) as replacement:
            for path in sorted(rendered.rglob("*")):
                if not path.is_dir():
                    replacement.prepare(path.relative_to(rendered).as_posix(), path)
            replacement.carry_out()
    except BaseException:
        for path in missing:
            if path.is_dir():
                path.rmdir()
        raise


def _say_what_is_next(folder: Path) -> None:
    here = Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    print_done(f"{folder.name} is made. Next:")
    steps = [] if shown == Path() else [(f"cd {_quoted(shown)}", "")]
    steps.append(("uv sync", "install it, and lock what it needs"))
    if any(folder.glob("src/*/domains/*/models.py")):
        steps += [
            ('uv run baseline db revision -m "create items"', "write the first migration"),
            ("uv run baseline db upgrade", "make the tables"),
        ]
    steps += [
        ("uv run baseline run", "serve it, with its documentation at /docs"),
        ("uv run pytest", "test it"),
    ]
    print_steps(steps)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))

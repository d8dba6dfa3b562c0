import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Never

import pytest

from fastapi_baseline import __version__
from fastapi_baseline.cli import updates
from fastapi_baseline.releases.forecast import FileForecast, Forecast, Outcome
from fastapi_baseline.releases.repository import ReleaseRepository, release_repository
from tests.unit.releases.conftest import (
    FIRST,
    LINES,
    change_template,
    commit,
    git,
    make_template,
    write,
)

Call = Callable[..., int]
FOLLOWING = ("--no-lock", "--no-check", "--no-tests")
CHECKLIST = {
    "unread": [{"file": ".env", "name": "OLD", "closest": "NEW"}],
    "changes": [
        {
            "setting": "REQUESTS__TIMEOUT",
            "old": "30",
            "new": "20",
            "since": "2027.03",
            "why": "Balancers give up.",
            "restore": "REQUESTS__TIMEOUT=30",
        }
    ],
}
# Stands for uv, which would need a network: writes down how it was called.
UV = """#!/bin/sh
echo "$* VIRTUAL_ENV=$VIRTUAL_ENV" >> "{log}"
case "$*" in
  *--checklist*) echo 'a log line'; echo '{checklist}';;
  *pytest*) echo 'a test failed'; exit {code};;
esac
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Generator[ReleaseRepository]:
    folder = tmp_path_factory.mktemp("releases")
    template = make_template(folder / "source")
    git(folder, "init", "--quiet", "--bare", "--template=", "first.git")
    first = ReleaseRepository(folder / "first.git", cache=folder / "cache")
    first.publish(FIRST, template)
    first.save(folder / "releases.bundle")
    change_template(template)
    with release_repository(bundle=folder / "releases.bundle", template=template) as repository:
        yield repository


@pytest.fixture(autouse=True)
def service(repository: ReleaseRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a service of the first release, which the commands are called in."""
    folder = tmp_path / "shop"
    repository.render(FIRST, {}, folder)
    git(folder, "init", "--quiet")
    commit(folder)

    @contextmanager
    def small() -> Generator[ReleaseRepository]:
        yield repository

    monkeypatch.setattr(updates, "release_repository", small)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Give a function that puts a program in the place of uv, and returns its log."""

    def put(*, code: int = 0) -> Path:
        log, program = tmp_path / "uv.log", tmp_path / "bin/uv"
        program.parent.mkdir()
        program.write_text(
            UV.format(log=log, checklist=json.dumps(CHECKLIST), code=code), encoding="utf-8"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = os.environ["PATH"]  # noqa: TID251 -- for child processes
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{path}")
        monkeypatch.setenv("VIRTUAL_ENV", "/another")
        return log

    return put


def test_shows_what_it_would_do_and_does_nothing(
    call: Call, service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(service, {"contested.txt": LINES.replace("line 3\n", "mine\n")})
    (service / "moved.txt").rename(service / "there.txt")
    commit(service)
    write(service, {"own.txt": "mine\n"})

    assert call("update", "--plan") == 0

    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == f"From release {FIRST} of the template to {__version__}:"
    assert "  updated   plain.txt" in lines
    assert "  conflict  contested.txt: you and the template have changed the same lines" in lines
    assert "  missed    moved.txt: it is there.txt now, where this does not arrive" in lines
    assert "            +line three" in lines
    assert said.err == (
        "What is in no commit is not in this plan.\nNothing was changed: this is the plan.\n"
    )
    assert git(service, "status", "--porcelain") == "?? own.txt"


def test_updates_locks_checks_and_tests(
    call: Call,
    fake_uv: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = fake_uv()
    monkeypatch.setattr(updates, "attempt_update", attempt(Outcome.UPDATED))

    assert call("update") == 0

    assert log.read_text(encoding="utf-8").splitlines() == [
        "lock --upgrade-package fastapi-baseline VIRTUAL_ENV=",
        "run baseline check VIRTUAL_ENV=",
        "run pytest VIRTUAL_ENV=",
        "run baseline update --checklist --json VIRTUAL_ENV=",
    ]
    said = capfd.readouterr().out
    assert "Before you deploy:\n  .env: no setting reads OLD; is it NEW now?\n" in said
    assert "To keep what it does now: REQUESTS__TIMEOUT=30" in said
    assert f"✓ The service is at release {__version__} of the template. Next:" in said


def test_switches_a_capability_and_says_so_for_programs(
    call: Call,
    service: Path,
    fake_uv: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = fake_uv(code=1)

    assert call("disable", "cache", "--json") == 1

    assert not (service / "cache.txt").exists()
    document = json.loads(capsys.readouterr().out)
    assert (document["plan"], document["from"], document["to"]) == (False, FIRST, FIRST)
    assert {"path": "cache.txt", "outcome": "removed"} in document["files"]
    assert [(step["command"], step["ok"]) for step in document["steps"]] == [
        ("uv lock", True),
        ("uv run baseline check", True),
        ("uv run pytest", False),
    ]
    assert document["steps"][-1]["output"] == "a test failed\n"
    assert document["before_you_deploy"] == CHECKLIST
    # The library stays as it is: the release does.
    assert log.read_text(encoding="utf-8").startswith("lock VIRTUAL_ENV=\n")


def test_a_conflict_is_left_to_the_user_before_anything_else(
    call: Call,
    fake_uv: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = fake_uv()
    monkeypatch.setattr(updates, "attempt_update", attempt(Outcome.CONFLICT))

    assert call("update") == 1

    assert not log.exists()
    said = capsys.readouterr()
    assert said.err == "In 1 of the files there are conflicts. Next:\n"
    assert "  git status " in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("update", "--to", FIRST), f"the service is at release {FIRST} as it is."),
        (("update", "--to", f"v{FIRST}"), f"the service is at release {FIRST} as it is."),
        (("enable", "cache"), f"the service is at release {FIRST} as it is."),
        (("disable", "ratelimit"), f"the service is at release {FIRST} as it is."),
    ],
)
def test_says_that_there_is_nothing_to_do(
    arguments: tuple[str, ...], said: str, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 0

    assert capsys.readouterr().out == f"✓ There is nothing to do: {said}\n"


def test_says_where_there_may_be_newer_releases(
    repository: ReleaseRepository, call: Call, service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.render(__version__, {}, service)
    commit(service)

    assert call("update") == 0

    said = capsys.readouterr()
    assert said.out.startswith("✓ There is nothing to do: ")
    assert said.err.startswith("A newer library has newer releases: uvx ")


def test_says_that_there_is_nothing_to_do_for_programs(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("enable", "cache", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert (document["files"], document["steps"]) == ([], [])
    assert document["before_you_deploy"] is None


def test_says_which_capabilities_there_are(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("enable", "mars") == 2

    said = capsys.readouterr().err
    assert f"Release {FIRST} of the template has no 'mars'; it has cache, ratelimit." in said


@pytest.mark.parametrize("command", [("update",), ("enable", "ratelimit"), ("disable", "cache")])
def test_refuses_to_mix_with_what_is_in_no_commit(
    command: tuple[str, ...], call: Call, service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(service, {"plain.txt": "mine\n"})

    assert call(*command, *FOLLOWING) == 1

    said = capsys.readouterr().err
    assert said == "Error: There are changes in no commit: plain.txt. Commit or stash them first.\n"
    assert git(service, "status", "--porcelain") == "M plain.txt"


@pytest.mark.parametrize(
    ("edit", "arguments", "said"),
    [
        ({".copier-answers.yml": None}, (), "it was not made by `baseline new`"),
        ({".copier-answers.yml": "a: ["}, (), "cannot be read"),
        ({}, ("--to", "99.0.0"), "upgrade fastapi-baseline first"),
        ({}, ("--to", "0.0.0"), "There is no release 0.0.0 of the template"),
        ({"pyproject.toml": None}, (), "There is no service in"),
    ],
    ids=["no-answers", "broken-answers", "newer", "unknown", "no-service"],
)
def test_says_in_one_line_what_is_wrong(
    edit: dict[str, str | None],
    arguments: tuple[str, ...],
    said: str,
    call: Call,
    service: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(service, edit)
    if edit:
        commit(service)

    assert call("update", *arguments) == 1

    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert said in error
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.parametrize("command", [("update",), ("enable", "ratelimit")])
def test_says_that_there_is_no_room_for_a_copy(
    command: tuple[str, ...],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> Never:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(updates, "release_repository", fail)

    assert call(*command) == 1

    said = capsys.readouterr().err
    assert said == ("Error: The service cannot be updated: [Errno 28] No space left on device\n")


def test_says_that_a_program_is_missing(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(updates, "attempt_update", attempt(Outcome.UPDATED))
    monkeypatch.setenv("PATH", str(only_git(tmp_path)))

    assert call("update", "--no-check", "--no-tests") == 1

    said = capsys.readouterr()
    assert "Failed: uv lock --upgrade-package fastapi-baseline: uv cannot be run: " in said.err
    assert "something failed: mend it, or go back." in said.err
    assert "✓" not in said.out


def attempt(outcome: Outcome) -> Callable[..., AbstractContextManager[object]]:
    """Return what stands for an attempt that has changed one file, without trying."""

    class Attempt:
        forecast = Forecast(
            source=FIRST,
            target=__version__,
            files=(FileForecast(path="a.txt", outcome=outcome),),
        )

        def apply(self) -> None:
            pass

    return lambda *_, **__: nullcontext(Attempt())


def only_git(folder: Path) -> Path:
    programs = folder / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    return programs

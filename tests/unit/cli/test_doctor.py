import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline import __version__
from fastapi_baseline.cli.project import FOUND_BY_DOCTOR
from fastapi_baseline.releases.repository import release_repository
from tests.unit.releases.conftest import commit, git, write

Call = Callable[..., int]
PAGE = Path(__file__).parents[3] / "docs/reference/checks.md"
# What the default service asks of its environment, and has nobody to give in a test.
ANSWERS: dict[str, Any] = {
    "service_name": "drifting",
    "database": "none",
    "auth": "none",
    "capabilities": [],
}
PROJECT = '[project]\nrequires-python = ">=3.11"\n[tool.baseline]\npackage = "sound"\n'


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the files of a service of this release."""
    folder = tmp_path_factory.mktemp("rendered")
    with release_repository() as repository:
        repository.render(__version__, ANSWERS, folder)
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a program that stands for uv, first on the path."""
    program = tmp_path / "programs/uv"
    write(program.parent, {"uv": "#!/bin/sh\n"})
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Work in the folder of a service that was not made by the template, in a commit."""
    folder = tmp_path / "sound"
    lock = f'[[package]]\nname = "fastapi-baseline"\nversion = "{__version__}"\n'
    write(folder, {"pyproject.toml": PROJECT, "uv.lock": lock, "src/sound/__init__.py": ""})
    yield from entered(folder, monkeypatch)


@pytest.fixture
def drifting(
    tmp_path: Path, rendered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Generator[Path]:
    """Work in the folder of a service of this release, in a commit."""
    folder = tmp_path / "drifting"
    write(folder, {**rendered, "uv.lock": ""})
    yield from entered(folder, monkeypatch)


def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    git(folder.parent, "init", "--quiet", str(folder))
    commit(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


@pytest.fixture
def examine(call: Call, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    """Give a function that returns what the command tells programs."""

    def call_doctor() -> dict[str, Any]:
        code = call("doctor", "--json")
        told = json.loads(capsys.readouterr().out)
        wrong = [item for item in told["findings"] if item["accepted"] is None]
        assert code == bool(wrong)
        return told

    return call_doctor


def ids(told: dict[str, Any]) -> list[str]:
    return [item["id"] for item in told["findings"]]


def test_says_that_nothing_is_wrong(
    drifting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("doctor")

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert f"Release of the template  {__version__}\n" in said.out
    assert said.out.splitlines()[-1].endswith("Nothing is wrong.")
    assert "Files of both" in said.out


def test_shows_what_has_drifted(drifting: Path, examine: Callable[[], dict[str, Any]]) -> None:
    shared = (drifting / "README.md").read_text(encoding="utf-8")
    write(drifting, {"README.md": f"{shared}mine\n", ".copier-answers.yml.bak": "old\n"})
    owned = drifting / "src/drifting/domains/__init__.py"
    owned.write_text("changed = True\n", encoding="utf-8")
    write(drifting, {"tests/test_health.py": None, "src/drifting/settings.py.rej": "@@\n"})

    told = examine()

    files = {file["path"]: file for file in told["files"]}
    assert files["README.md"] == {
        "path": "README.md",
        "owner": "seam",
        "state": "edited",
        "lines": 1,
    }
    assert files["tests/test_health.py"]["state"] == "missing"
    assert files[".copier-answers.yml.bak"]["owner"] == "yours"
    assert told["drift"]["template"]["edited"] == 1
    assert ids(told) == ["template_file_edited", "update_unfinished"]
    assert told["versions"]["newest_template"] == __version__


def test_finds_a_file_of_the_template_that_is_gone(
    drifting: Path, examine: Callable[[], dict[str, Any]]
) -> None:
    (drifting / "src/drifting/domains/__init__.py").unlink()

    assert ids(examine()) == ["template_file_missing"]


def test_says_that_there_is_a_newer_release(
    drifting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = drifting / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8")
    answers.write_text(text.replace(f"v{__version__}", "v0.1.0"), encoding="utf-8")

    call("doctor", "--files")

    said = capsys.readouterr()
    assert "Release of the template  0.1.0\n" in said.out
    assert said.err == f"Release {__version__} is there: baseline update --plan\n"
    assert "src/drifting/main.py" in said.out


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (f"v{__version__}", "v99.0.0", "newer than the library"),
        (f"v{__version__}", "abcdef", "names no release"),
        ("github.com/fastapi", "example.com/fastapi", "names the template"),
    ],
)
def test_finds_that_its_template_is_not_known(
    drifting: Path,
    examine: Callable[[], dict[str, Any]],
    before: str,
    after: str,
    said: str,
) -> None:
    answers = drifting / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8")
    answers.write_text(text.replace(before, after), encoding="utf-8")

    told = examine()

    assert ids(told) == ["template_unknown"]
    assert said in told["findings"][0]["what"]
    assert told["files"] == []


def test_examines_a_service_that_was_not_made_by_the_template(
    sound: Path, examine: Callable[[], dict[str, Any]]
) -> None:
    told = examine()

    assert told["findings"] == []
    assert told["versions"]["template"] is None
    assert told["versions"]["locked_library"] == __version__


@pytest.mark.parametrize(
    ("files", "finding"),
    [
        ({"uv.lock": None}, "lock_missing"),
        ({"uv.lock": "["}, "lock_unreadable"),
        ({"uv.lock": "package = 1"}, "lock_unreadable"),
        (
            {"uv.lock": '[[package]]\nname = "fastapi-baseline"\nversion = "0.0.1"\n'},
            "library_not_as_locked",
        ),
        ({"pyproject.toml": PROJECT.replace(">=3.11", ">=99")}, "python_not_supported"),
        ({"pyproject.toml": PROJECT.replace(">=3.11", "new")}, "python_not_supported"),
        ({".env": "A=b\n", "src/sound/settings.py": "raise KeyError('no')\n"}, "settings_unknown"),
        ({".env": "LOG__LEVLE=INFO\n"}, "variable_unknown"),
        ({".env": "LOG__LEVLE=INFO\n", "src/sound/settings.py": ""}, "variable_unknown"),
    ],
)
def test_finds_that_it_cannot_be_worked_on(
    sound: Path,
    examine: Callable[[], dict[str, Any]],
    files: dict[str, str | None],
    finding: str,
) -> None:
    write(sound, files)

    assert ids(examine()) == [finding]


def test_finds_variables_that_nothing_reads(
    sound: Path, examine: Callable[[], dict[str, Any]]
) -> None:
    write(
        sound,
        {
            "src/sound/settings.py": (
                "from fastapi_baseline import Settings as Ours\n\n\n"
                "class Settings(Ours):\n    price_list: str = ''\n"
            ),
            ".env": (
                "LOG__LEVLE=secret-1\nPRICE_LIST=x\nPATH_OF_ANOTHER_PROGRAM=x\n# LOG__OLD=1\n"
            ),
        },
    )

    told = examine()

    assert ids(told) == ["variable_unknown"]
    assert "LOG__LEVLE" in told["findings"][0]["what"]
    assert told["findings"][0]["remedy"] == "Did you mean LOG__LEVEL?"
    assert "secret-1" not in json.dumps(told)


def test_finds_that_programs_are_missing(
    sound: Path,
    examine: Callable[[], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    told = examine()

    assert ids(told) == ["uv_missing", "git_not_ready"]
    assert told["tools"] == {"git": False, "uv": False}


def test_what_is_accepted_is_shown_and_no_error(
    sound: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = '[tool.baseline.accepted-findings]\nlock_missing = "pip installs it."\n'
    write(sound, {"uv.lock": None, "pyproject.toml": PROJECT + accepted})

    code = call("doctor")

    assert code == 0
    assert "lock_missing (accepted): pip installs it.\n" in capsys.readouterr().out


def test_says_that_there_is_no_service(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = call("doctor")

    assert code == 1
    assert "There is no service in" in capsys.readouterr().err


def test_every_finding_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [name for name in sorted(FOUND_BY_DOCTOR) if f"| `{name}` |" not in page] == []

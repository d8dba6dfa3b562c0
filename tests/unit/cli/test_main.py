import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_baseline import __version__

Call = Callable[..., int]
CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]


def test_shows_its_version(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"baseline {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        ["new", "-h"],
        ["run", "-h"],
        ["db", "-h"],
        ["cache", "-h"],
        ["check", "-h"],
        ["config", "-h"],
        ["defaults", "-h"],
    ],
    ids=" ".join,
)
def test_shows_help(arguments: list[str], call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: baseline")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["--fast"],
        ["run", "--port", "no"],
        ["run", "--port", "70000"],
        ["run", "--workers", "0"],
        ["run", "--reload", "--workers", "2"],
        ["db", "downgrade"],
        ["db", "revision"],
        ["new", "a-service", "--data", "novalue"],
        ["new", "a-service", "--data", "colour=red"],
        ["new", "--defaults"],
    ],
    ids=" ".join,
)
def test_exits_with_2_when_it_is_called_wrongly(
    arguments: list[str],
    call: Call,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert call(*arguments) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert "Error: " in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_says_what_is_wrong_in_one_line_and_exits_with_1(
    call_process: CallProcess, tmp_path: Path
) -> None:
    result = call_process(["run"], cwd=tmp_path)

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: There is no service in {tmp_path}")
    assert len(result.stderr.splitlines()) == 1


def test_shows_the_traceback_when_it_is_asked_to(call_process: CallProcess, tmp_path: Path) -> None:
    result = call_process(["--debug", "run"], cwd=tmp_path)

    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: There is no service")


def test_exits_with_130_when_it_is_interrupted(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastapi_baseline.cli.new.create_service", interrupted)
    monkeypatch.chdir(tmp_path)

    assert call("new", "order-service") == 130


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_names_the_extra_when_it_is_not_installed(module: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from fastapi_baseline.cli import main; main(['new', 'x', '--defaults'])"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False, text=True
    )

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert "fastapi-baseline[cli]" in result.stderr


def test_loads_nothing_for_its_help_that_a_command_needs() -> None:
    heavy = {
        "copier",
        "fastapi",
        "msgspec",
        "pydantic",
        "redis",
        "rich",
        "sqlalchemy",
        "uvicorn",
        "yaml",
    }
    code = (
        "import contextlib, sys\n"
        "from fastapi_baseline.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        f"print('loaded:', *sorted({heavy} & set(sys.modules)))"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )

    assert result.stdout.splitlines()[-1] == "loaded:"


def test_is_plain_where_nobody_looks(call_process: CallProcess, tmp_path: Path) -> None:
    result = call_process(["run"], cwd=tmp_path)

    assert "\x1b" not in result.stderr

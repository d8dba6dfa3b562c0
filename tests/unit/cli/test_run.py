import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fastapi_baseline.cli.run import Target, find_settings, find_target
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import free_port, server_process

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]


def test_serves_the_service_that_it_is_called_in(service: Path) -> None:
    target = find_target(None, start=service / "src/echo_service")

    assert target.app == "echo_service.main:app"
    assert target.folder == service


def test_serves_what_is_named_where_there_is_no_service(tmp_path: Path) -> None:
    target = find_target("other.main:app", start=tmp_path)

    assert (target.app, target.folder) == ("other.main:app", tmp_path)


def test_says_how_to_name_an_application_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--app package\.main:app"):
        find_target(None, start=tmp_path)


@pytest.mark.parametrize("app", ["nowhere.main:app", "echo_service.main", "a..b:app", ":app"])
def test_says_that_an_application_is_not_there(
    app: str, service: Path, call_process: CallProcess
) -> None:
    result = call_process(["run", "--app", app], cwd=service)

    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {app!r} cannot be found")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=str)
def test_says_in_one_line_that_a_service_is_set_up_wrongly(
    options: list[str], service: Path, call_process: CallProcess
) -> None:
    (service / "src/echo_service/main.py").write_text(
        "from fastapi_baseline.errors import ConfigurationError\n"
        'raise ConfigurationError("DATABASE_URL is not set.")\n',
        encoding="utf-8",
    )

    result = call_process(["run", "--port", "0", *options], cwd=service)

    assert result.returncode == 1
    assert result.stderr == "Error: DATABASE_URL is not set.\n"


def test_exits_with_1_when_the_port_is_in_use(
    service: Path, call_process: CallProcess, running_service: int
) -> None:
    result = call_process(["run", "--port", str(running_service)], cwd=service)

    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@pytest.fixture
def running_service(service: Path) -> Iterator[int]:
    """Give the port that the service is told by `PORT`, and listens on."""
    port = free_port()
    command = [sys.executable, "-m", "fastapi_baseline", "run"]
    with server_process(
        lambda _port: command, env={"PORT": str(port)}, cwd=service, ready_path="/", port=port
    ):
        yield port


def ask(port: int) -> tuple[bytes, dict[str, str]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/", timeout=5) as response:
        return response.read(), {name.lower(): value for name, value in response.headers.items()}


def test_answers_on_the_port_of_the_environment_and_does_not_say_what_it_runs_on(
    running_service: int,
) -> None:
    body, headers = ask(running_service)

    assert body == b"echo"
    assert "server" not in headers


UVICORN = """
import json

def run(app, **options): print(json.dumps([app, options]))

class Config:
    def __init__(self, app, **options): self.told = app, options
    def bind_socket(self): ...

class Server:
    def __init__(self, config): ...
"""
SUPERVISORS = """
from uvicorn import run

class ChangeReload:
    def __init__(self, config, *, target, sockets): self.told = config.told
    def run(self): run(self.told[0], **self.told[1])
"""


def test_serves_with_the_defaults_that_the_layers_expect(service: Path, tmp_path: Path) -> None:
    # A stand-in for uvicorn that writes down what it is told.
    fake = tmp_path / "fake"
    supervisors = fake / "uvicorn/supervisors"
    supervisors.mkdir(parents=True)
    (fake / "uvicorn/__init__.py").write_text(UVICORN, encoding="utf-8")
    (supervisors / "__init__.py").write_text(SUPERVISORS, encoding="utf-8")
    command = [sys.executable, "-m", "fastapi_baseline", "run"]
    environment = {**os.environ, "PYTHONPATH": str(fake)}  # noqa: TID251 -- for the child

    plain, reloading = (
        json.loads(
            subprocess.run(
                [*command, *options], cwd=service, env=environment, capture_output=True, check=True
            ).stdout
        )
        for options in ([], ["--reload", "--host", "::1"])
    )

    assert plain == [
        "echo_service.main:app",
        {
            "host": "127.0.0.1",
            "port": 8000,
            "workers": 1,
            "reload": False,
            "reload_dirs": None,
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_keep_alive": 75,
            "timeout_graceful_shutdown": 25,
        },
    ]
    assert (
        reloading[1] | {"host": "::1", "reload": True, "reload_dirs": [str(service / "src")]}
        == reloading[1]
    )


SETTLED = """
from types import SimpleNamespace
from fastapi_baseline import Settings

async def answer(scope, receive, send): ...

answer.state = SimpleNamespace(
    baseline_settings=Settings.model_validate({"shutdown": {"grace": 2.5}})
)
nested = SimpleNamespace(app=answer)
plain = object()
"""


@pytest.mark.parametrize("name", ["answer", "nested.app"])
def test_takes_the_times_of_the_shutdown_from_the_settings_of_the_application(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settled_service.py").write_text(SETTLED, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    settings = find_settings(Target(app=f"settled_service:{name}", folder=tmp_path))

    assert settings is not None
    assert settings.shutdown.grace == timedelta(seconds=2.5)


@pytest.mark.parametrize("name", ["plain", "missing"])
def test_an_application_of_others_has_no_settings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settled_service.py").write_text(SETTLED, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    assert find_settings(Target(app=f"settled_service:{name}", folder=tmp_path)) is None


def test_believes_no_proxy_whatever_the_environment_of_the_server_says(
    service: Path, call_process: CallProcess
) -> None:
    result = call_process(["run", "--forwarded-allow-ips", "*"], cwd=service)

    assert result.returncode == 2
    assert "No such option: --forwarded-allow-ips" in result.stderr

"""What tests of the command line share."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from fastapi_baseline.cli import main
from fastapi_baseline.persistence import Base, Database

# As `create_app` keeps them; nothing here needs a whole application.
MAIN = """\
from types import SimpleNamespace

from fastapi_baseline import Settings

app = SimpleNamespace(state=SimpleNamespace(baseline_settings=Settings(service_name="echo")))
"""

Ask = Callable[..., str]
Call = Callable[..., int]
Configure = Callable[..., Path]


@pytest.fixture
def call() -> Call:
    """Give a function that calls the command in this process, and returns its exit code."""

    def call_command(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        assert isinstance(stop.value.code, int)
        return stop.value.code

    return call_command


@pytest.fixture
def call_process() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Give a function that calls the command in a process of its own."""

    def call_command(
        arguments: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "fastapi_baseline", *(str(part) for part in arguments)],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )

    return call_command


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """Give the folder of a service that answers every request with its name."""
    folder = tmp_path / "echo-service"
    package = folder / "src/echo_service"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.baseline]\npackage = "echo_service"\n', encoding="utf-8"
    )
    (package / "__init__.py").touch()
    (package / "main.py").write_text(
        "async def app(scope, receive, send):\n"
        '    if scope["type"] == "lifespan":\n'
        "        return\n"
        '    await send({"type": "http.response.start", "status": 200, "headers": []})\n'
        '    await send({"type": "http.response.body", "body": b"echo"})\n',
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def configure(service: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Configure]:
    """Give a function that lets the service have settings, and a database with some tables.

    It returns the folder of the service, which is the present one from then on.
    """

    def configure_service(settings: str, *models: type[Base], url: str) -> Path:
        (service / "src/echo_service/main.py").write_text(MAIN, encoding="utf-8")
        (service / ".env").write_text(f"{settings}DATABASE_URL={url}\n", encoding="utf-8")
        monkeypatch.chdir(service)
        monkeypatch.setattr(sys, "path", [*sys.path])
        asyncio.run(_create(url, models))
        return service

    yield configure_service
    # Another test has another application of this name.
    for name in ("echo_service", "echo_service.main"):
        sys.modules.pop(name, None)


async def _create(url: str, models: Sequence[type[Base]]) -> None:
    database = Database(url)
    async with database.engine.begin() as connection:
        for model in models:
            table: Table[Any] = model.metadata.tables[model.__tablename__]
            await connection.run_sync(table.create)
    await database.dispose()


@pytest.fixture
def ask_command(call: Call, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Give a function that returns what a command writes; it must succeed."""

    def ask(*arguments: str) -> str:
        code = call(*arguments)
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    return ask

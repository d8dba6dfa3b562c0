"""What tests of the command line share."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from fastapi_baseline.cli import main

Call = Callable[..., int]


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

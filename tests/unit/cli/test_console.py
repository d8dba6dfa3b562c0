import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def on_a_terminal(arguments: list[str], *, cwd: Path, env: Mapping[str, str]) -> str:
    """Return what the command shows on a terminal."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fastapi_baseline", *arguments],
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", **env},  # noqa: TID251 -- for the child
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(controller, 4096):
            shown += part
    except OSError:  # How Linux says that the other side is closed.
        pass
    finally:
        os.close(controller)
        process.wait()
    return shown.decode()


def test_is_red_on_a_terminal(tmp_path: Path) -> None:
    shown = on_a_terminal(["run"], cwd=tmp_path, env={"NO_COLOR": ""})

    assert shown.startswith("\x1b[1;31mError: ")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_is_plain_where_colour_is_not_wanted(env: dict[str, str], tmp_path: Path) -> None:
    shown = on_a_terminal(["run"], cwd=tmp_path, env=env)

    assert "\x1b[31m" not in shown
    assert "\x1b[1;31m" not in shown


def test_shows_progress_without_characters_that_the_terminal_lacks(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "fastapi_baseline", "new", "order-service"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},  # noqa: TID251 -- for the child
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(b"OK order-service is made.")

import os
import pty
import re
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
DEMO = [sys.executable, str(ROOT / "scripts/demo.py")]

Run = Callable[..., str]


@pytest.fixture
def variables(tmp_path: Path, wheelhouse: Path) -> dict[str, str]:
    """Give what the demonstration is told: the wheel, and where to put what it makes."""
    return {"TMPDIR": str(tmp_path), "UV_FIND_LINKS": str(wheelhouse), "PORT": "1"}


def test_shows_every_step_and_leaves_nothing_behind(
    run: Run, variables: dict[str, str], tmp_path: Path
) -> None:
    said = run(*DEMO, cwd=tmp_path, extra=variables)

    for step in (
        *("Rendered", "Installed", "first migration", "Started", "GET /livez", "GET /readyz"),
        *("nobody is let in", "401", "does not write", "403", "altered is none"),
        *("POST /items", "201", "GET /items", "422", "409", "same request id"),
        *("tell of the same request", "If-None-Match", "304", "without the Internet"),
        *("Cache-Status: baseline; hit", "Cache-Status: baseline; fwd=miss", "invalidates"),
        *("baseline cache inspect", "Purged: all entries with the tag items"),
        *("kill -STOP", "Redis says nothing", "kill -KILL", "answers again", "no request failed"),
        *("429 after", "Retry-After: ", "quota_exceeded"),
        *("SIGTERM", '"draining"', "still answers", "has stopped"),
    ):
        assert step in said
    assert "✗" not in said
    assert list(tmp_path.iterdir()) == []


def test_stops_at_a_step_that_fails(run: Run, variables: dict[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "wheels"
    empty.mkdir()

    said = run(*DEMO, cwd=tmp_path, extra=variables | {"UV_FIND_LINKS": str(empty)}, code=1)

    assert "✗" in said
    assert "fastapi-baseline" in said
    assert "Traceback" not in said
    assert "first migration" not in said


def test_stays_up_on_a_terminal_until_it_is_interrupted(
    variables: dict[str, str], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        DEMO,
        cwd=tmp_path,
        env=clean_environment | variables | {"NO_COLOR": "1"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # As when the tests themselves run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509
    )
    os.close(terminal)
    try:
        shown = read_until(controller, rb"Open (http://\S+)/docs")
        address = shown[-1].decode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}/docs", timeout=10) as page:
            status = page.status
        process.send_signal(signal.SIGINT)
        read_until(controller, rb"(The service has stopped)")

        assert status == 200
        assert process.wait(timeout=30) == 0
        with pytest.raises(OSError, match="refused"):
            opener.open(f"{address}/livez", timeout=10)
    finally:
        process.terminate()
        process.wait(timeout=30)
        os.close(controller)


def read_until(controller: int, pattern: bytes) -> list[bytes]:
    """Return the groups of the pattern, once a terminal has shown it."""
    shown = b""
    while True:
        found = re.search(pattern, shown)
        if found:
            return list(found.groups())
        assert select.select([controller], [], [], PATIENCE_SECONDS)[0], shown.decode()
        try:
            shown += os.read(controller, 4096)
        except OSError:
            raise AssertionError(shown.decode()) from None

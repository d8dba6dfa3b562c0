import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from fastapi_baseline.testing import ServerFailedError, free_port, server_process, uvicorn_server

SERVICE = """
import os, sys

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    print("asked for", scope["path"])
    status = 200 if scope["path"] == os.environ.get("READY", "/livez") else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": os.environ.get("GREETING", "").encode()})
"""
SHORT = timedelta(milliseconds=300)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE)
    (folder / "broken.py").write_text("raise SystemExit('no such setting')")
    return folder


def read(url: str) -> str:
    with urlopen(url, timeout=5) as response:  # noqa: S310 - our own server.
        return response.read().decode()


def test_serves_an_application_until_the_block_ends(service: Path) -> None:
    with uvicorn_server("service:app", cwd=service, env={"GREETING": "hello"}) as server:
        body = read(f"{server.base_url}/livez")
        line = server.wait_for_line("asked for", "/livez")

    assert body == "hello"
    assert line in server.stdout
    assert any("Uvicorn running" in line for line in server.stderr)
    assert server.returncode is not None
    assert not psutil.pid_exists(server.pid)


def test_can_be_killed_as_by_a_crash_and_started_again_on_its_port(service: Path) -> None:
    with uvicorn_server("service:app", cwd=service) as server:
        code = server.kill()

        with pytest.raises(URLError):
            read(f"{server.base_url}/livez")

    with uvicorn_server("service:app", cwd=service, port=server.port) as second:
        assert read(f"{second.base_url}/livez") == ""

    assert code == -signal.SIGKILL
    assert second.port == server.port


def test_shows_the_output_of_a_service_that_does_not_start(service: Path) -> None:
    with (
        pytest.raises(ServerFailedError, match=r"exit code 1.*\n(.*\n)*.*no such setting"),
        uvicorn_server("broken:app", cwd=service),
    ):
        pytest.fail("it started")


def test_gives_up_on_a_service_that_is_never_ready(service: Path) -> None:
    with (
        pytest.raises(ServerFailedError, match="/livez did not answer in time"),
        uvicorn_server(
            "service:app", cwd=service, env={"READY": "/never"}, timeout=timedelta(seconds=2)
        ),
    ):
        pytest.fail("it is ready")


def test_says_which_line_never_came(service: Path) -> None:
    with (
        uvicorn_server("service:app", cwd=service) as server,
        pytest.raises(ServerFailedError, match="unheard-of"),
    ):
        server.wait_for_line("unheard-of", timeout=SHORT)


def test_kills_a_service_that_does_not_stop_when_asked_to(service: Path) -> None:
    (service / "stubborn.py").write_text(
        "import http.server, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "handler = http.server.SimpleHTTPRequestHandler\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), handler).serve_forever()\n"
    )
    (service / "livez").write_text("")

    with server_process(
        lambda port: [sys.executable, "stubborn.py", str(port)], cwd=service
    ) as server:
        code = server.terminate(timeout=SHORT)

    assert code == -signal.SIGKILL


def test_takes_another_port_when_somebody_was_faster(service: Path) -> None:
    taken: list[int] = []

    def command(port: int) -> list[str]:
        if taken:
            return [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
        taken.append(port)
        return [sys.executable, "-c", "raise SystemExit('address already in use')"]

    with server_process(command, cwd=service) as server:
        assert [server.port] != taken


def test_a_service_does_not_outlive_a_test_that_was_killed(service: Path) -> None:
    script = (
        "import sys, time\n"
        "from fastapi_baseline.testing import uvicorn_server\n"
        "with uvicorn_server('service:app') as server:\n"
        "    print(server.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=service,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout is not None
        served = psutil.Process(int(test.stdout.readline()))

        test.kill()
        test.wait()

    served.wait(10)


def test_a_free_port_is_one_that_nobody_listens_on() -> None:
    assert 1024 <= free_port() <= 65535


def test_says_how_a_process_has_ended_that_was_sent_a_signal(service: Path) -> None:
    with uvicorn_server("service:app", cwd=service) as server:
        server.send_signal(signal.SIGINT)
        code = server.wait()

        # It is too late, and does no harm.
        server.send_signal(signal.SIGTERM)

    assert code == server.returncode


def test_says_that_a_process_does_not_end(service: Path) -> None:
    with uvicorn_server("service:app", cwd=service) as server:
        with pytest.raises(ServerFailedError, match="has not ended in time"):
            server.wait(timeout=SHORT)

        assert server.returncode is None

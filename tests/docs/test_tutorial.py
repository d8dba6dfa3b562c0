import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from fastapi_baseline.testing import free_port

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorials/first-service.md"
NOT_IN_A_CLONE = (".git", ".nox", ".tools", ".venv", "__pycache__", "_build", "node_modules")
PATIENCE = timedelta(seconds=120)
PORT = "8000"


def commands(name: str) -> list[str]:
    """Return what the reader types, in the block of the tutorial that has this name."""
    text = TUTORIAL.read_text(encoding="utf-8")
    (block,) = re.findall(
        rf"^```{{code-block}} console\n:name: {name}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def environment(home: Path) -> dict[str, str]:
    """Return that of somebody with a home of their own, but for what has been downloaded."""
    cache = subprocess.run(
        ("uv", "cache", "dir"), capture_output=True, check=True, text=True
    ).stdout
    foreign = {
        *("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "UV_FIND_LINKS"),
        *("DATABASE_URL", "REDIS_URL", "TEST_DATABASE_URL", "TEST_REDIS_URL"),
        *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV"),
    }
    own = {name: value for name, value in os.environ.items() if name not in foreign}  # noqa: TID251 - for a child process
    return own | {"HOME": str(home), "UV_CACHE_DIR": cache.strip()}


def type_in(lines: Sequence[str], *, folder: Path, variables: dict[str, str]) -> str:
    """Return what a shell answers that stops at the first line which fails."""
    result = subprocess.run(
        # Not by its standard input, which the programs could read.
        ("bash", "-ec", "\n".join(lines)),
        capture_output=True,
        check=False,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@contextmanager
def served(command: str, *, folder: Path, variables: dict[str, str]) -> Generator[None]:
    """Serve as the reader does in the other terminal, who types Ctrl-C in the end."""
    port, output = variables["PORT"], folder.parent / "served"
    with output.open("w") as log:
        process = subprocess.Popen(
            ("bash", "-c", f"exec {command}"),
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        ends_at = time.monotonic() + PATIENCE.total_seconds()
        while not answers(port):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < ends_at, output.read_text()
            time.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE.total_seconds())


def answers(port: str) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


def test_a_reader_who_types_what_it_says_gets_a_service_that_works(tmp_path: Path) -> None:
    clone, service = tmp_path / "clone", tmp_path / "order-service"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))
    # Somebody else may have the port of the text.
    variables = environment(tmp_path) | {"PORT": str(free_port())}
    made = [*commands("make"), *commands("serve")]
    asked = [
        line.replace(f":{PORT}/", f":{variables['PORT']}/").replace("curl -i", "curl -is")
        for line in (*commands("refused"), *commands("ask"))
    ]

    tested = type_in(made[:-1], folder=clone, variables=variables)
    variables["UV_FIND_LINKS"] = str(tmp_path / "wheels")
    with served(made[-1], folder=service, variables=variables):
        answered = type_in(asked, folder=service, variables=variables)

    statuses = re.findall(r"HTTP/1\.1 (\d+)", answered)
    assert len(made) == 6
    assert re.search(r"\d+ passed", tested)
    assert statuses == ["401", "201", "200"]
    assert '"number":"A-1"' in answered.splitlines()[-1]
    assert not (service / ".baseline/services/env").exists()

"""Services that a demonstration makes from the template, installs, migrates and runs."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_stage import Screen, Service, StepFailedError, environment

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 30.0
# What the caller's shell may set for another service, and this one would read.
FOREIGN = (
    *(
        "AUTH__",
        "BUILD__",
        "CACHE__",
        "COMPRESSION__",
        "CONDITIONAL_REQUESTS__",
        "CORS",
        "DATABASE",
    ),
    *("FORWARDED_", "HEALTH__", "IDEMPOTENCY__", "LOG__", "MAIL__", "MANAGEMENT__", "METRICS__"),
    "OTEL_",
    *("PROMETHEUS_", "RATE_LIMITS__", "REDIS_", "REQUESTS__", "SECURITY_HEADERS", "SHUTDOWN__"),
    *("TRACING__", "TRUSTED_"),
)
FOREIGN_NAMES = {
    *("ENVIRONMENT", "PORT", "PYTHONHOME", "PYTHONPATH", "SERVICE_NAME"),
    *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV", "WEB_CONCURRENCY"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFolder:
    """The code of a service, and the environment that has its programs."""

    path: Path
    environment: Path
    told: Mapping[str, str]
    """Variables of all of its processes."""

    def run(self, *arguments: str) -> str:
        """Return what `baseline` writes in the folder.

        Raises:
            StepFailedError: If it fails.
        """
        return run([str(self._baseline), *arguments], cwd=self.path, extra=self.told)

    @contextmanager
    def serve(
        self, log: Path, *, told: Mapping[str, str] | None = None, port: int | None = None
    ) -> Generator[Service]:
        """Serve until the end of the block; `told` are more variables."""
        port = port or free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(self._baseline), "run", "--port", str(port)],
                cwd=self.path,
                env={**_clean(), **self.told, **(told or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this program, which then stops the service.
                start_new_session=True,
            )
        service = Service(process=process, address=f"http://127.0.0.1:{port}", log=log)
        try:
            _wait_until_alive(service)
            yield service
        finally:
            _stop(process)

    @property
    def _baseline(self) -> Path:
        return self.environment / "bin/baseline"


def render(screen: Screen, folder: Path, *answers: str) -> None:
    """Make a service with default answers, but for these."""
    started = time.monotonic()
    options = ["--defaults", *(part for answer in answers for part in ("--data", answer))]
    run([sys.executable, "-m", "fastapi_baseline", "new", str(folder), *options], cwd=folder.parent)
    files = [path for path in folder.rglob("*") if path.is_file()]
    said = f"with {' and '.join(answers)}" if answers else "with default answers"
    screen.done(f"Rendered {said}: {len(files)} files", seconds=time.monotonic() - started)
    screen.detail(" ".join(["baseline new", folder.name, *options]))


def install(screen: Screen, folder: Path, environment: Path, *, wheelhouse: str) -> None:
    """Install a service, with what it needs, into an environment, which is made if need be."""
    started = time.monotonic()
    # No lock: it would name the wheelhouse, and a service names no place of the machine it is from.
    if not environment.exists():
        run([*_uv(), "venv", "--quiet", "--python", sys.executable, str(environment)], cwd=folder)
    run(
        [
            *(*_uv(), "pip", "install", "--quiet", "--python", str(environment / "bin/python")),
            *("--refresh-package", "fastapi-baseline", "--editable", "."),
        ],
        cwd=folder,
        extra={"UV_FIND_LINKS": wheelhouse},
    )
    screen.done("Installed, with what it needs", seconds=time.monotonic() - started)


def migrate(screen: Screen, folder: ServiceFolder, *, message: str) -> None:
    """Write the first migration of a service, and run it."""
    started = time.monotonic()
    folder.run("db", "revision", "-m", message, "--autogenerate")
    revisions = sorted((folder.path / "alembic/versions").glob("*.py"))
    if len(revisions) != 1:
        raise StepFailedError(f"One migration should have been written, not {len(revisions)}.")
    folder.run("db", "upgrade")
    screen.done("Made and ran its first migration", seconds=time.monotonic() - started)
    screen.detail(f'baseline db revision -m "{message}"')
    screen.detail(f"baseline db upgrade    # {revisions[0].relative_to(folder.path)}")


def find_wheelhouse(screen: Screen, scratch: Path) -> str:
    """Return a folder with a wheel of the working tree, as no index has the library."""
    given = environment().get("UV_FIND_LINKS")
    if given:
        return given
    started = time.monotonic()
    folder = scratch / "wheelhouse"
    run([*_uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], cwd=scratch)
    screen.done("Built a wheel of the working tree", seconds=time.monotonic() - started)
    return str(folder)


def _wait_until_alive(service: Service) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise StepFailedError(f"The service ended with code {service.process.returncode}.")
        try:
            if service.ask("GET", "/livez").status == 200:  # noqa: PLR2004 -- a status
                return
        except OSError:
            pass  # It does not listen yet.
        time.sleep(0.05)
    raise StepFailedError(f"The service did not answer within {START_SECONDS:.0f} seconds.")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    # Whoever interrupts this a second time would leave the service running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: Sequence[str], *, cwd: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, and return what it says."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**_clean(), **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        errors="replace",
    )
    if result.returncode:
        shown = " ".join(command)
        raise StepFailedError(f"{shown}\nended with code {result.returncode}:\n{result.stdout}")
    return result.stdout


def _clean() -> dict[str, str]:
    return {
        name: value
        for name, value in environment().items()
        if name not in FOREIGN_NAMES and not name.startswith(FOREIGN)
    }


def _uv() -> list[str]:
    found = shutil.which("uv")
    return [found] if found else [sys.executable, "-m", "uv"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

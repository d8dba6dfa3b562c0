"""Shows a service at work: rendered, installed, migrated, started, and asked over HTTP.

On a terminal the service stays up until Ctrl-C; anywhere else it is stopped at once. A step that
fails ends the demonstration with exit code 1 and the last lines of the service's log.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from demo_backends import show_cache, show_limit, show_outage, show_purge
from demo_callers import show_callers
from demo_operations import (
    DRAIN_SECONDS,
    show_end,
    show_one_request,
    show_pages,
    show_smaller_answers,
)
from demo_stage import Answer, Screen, Service, StepFailedError, environment, exchange
from trace_receiver import TraceReceiver, receiving_traces

from fastapi_baseline.testing.redis import RedisProcess, redis_process

ROOT = Path(__file__).resolve().parents[1]
NAME = "order-service"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
TAIL_LINES = 20
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


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration; `--keep` leaves its folder behind."""
    screen = Screen()
    signal.signal(signal.SIGTERM, _end)
    # Whoever starts this in the background may have had Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    scratch = Path(mkdtemp(prefix="fastapi-baseline-demo-"))
    is_kept = "--keep" in arguments
    log = scratch / "service.log"
    try:
        _show(screen, scratch, log)
    except KeyboardInterrupt:
        return 130
    except (StepFailedError, OSError) as error:
        screen.failed(str(error))
        if log.is_file():
            screen.title(f"The last lines of {log}")
            screen.detail("\n".join(_tail(log)))
        is_kept = True
        return 1
    finally:
        if is_kept:
            screen.detail(f"left in {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _show(screen: Screen, scratch: Path, log: Path) -> None:
    started = time.monotonic()
    screen.title(f"A service from nothing: {NAME}")
    folder = scratch / NAME
    _render(screen, folder)
    _install(screen, folder, wheelhouse=_wheelhouse(screen, scratch))
    _migrate(screen, folder)
    with (
        receiving_traces() as traces,
        redis_process() as redis,
        _running(screen, folder, log, traces=traces, redis=redis) as started_service,
    ):
        screen.title("Who may use it")
        service = show_callers(screen, started_service, partial(_ask_baseline, folder, redis))
        screen.title("What it answers")
        _show_health(screen, service)
        _show_items(screen, service)
        _show_lists(screen, service)
        _show_versions(screen, service)
        _show_errors(screen, service)
        screen.title("What operators see of it")
        show_one_request(screen, service, traces)
        show_smaller_answers(screen, service)
        show_pages(screen, service)
        screen.title("What it need not do")
        show_cache(screen, service)
        show_purge(screen, service, partial(_ask_baseline, folder, redis))
        show_outage(screen, service, redis)
        show_limit(screen, service)
        screen.title(f"All of it in {time.monotonic() - started:.0f} seconds.")
        if sys.stdin.isatty() and sys.stdout.isatty():
            _stay_up(screen, service)
        show_end(screen, service)
    screen.done("The service has stopped")


def _render(screen: Screen, folder: Path) -> None:
    started = time.monotonic()
    command = ["-m", "fastapi_baseline", "new", str(folder), "--defaults"]
    _run([sys.executable, *command], cwd=folder.parent)
    files = [path for path in folder.rglob("*") if path.is_file()]
    seconds = time.monotonic() - started
    screen.done(f"Rendered with default answers: {len(files)} files", seconds=seconds)
    screen.detail(f"baseline new {NAME} --defaults")


def _wheelhouse(screen: Screen, scratch: Path) -> str:
    """Return a folder with a wheel of the working tree, as no index has the library."""
    given = environment().get("UV_FIND_LINKS")
    if given:
        return given
    started = time.monotonic()
    folder = scratch / "wheelhouse"
    _run([*_uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], cwd=scratch)
    screen.done("Built a wheel of the working tree", seconds=time.monotonic() - started)
    return str(folder)


def _install(screen: Screen, folder: Path, *, wheelhouse: str) -> None:
    started = time.monotonic()
    # No lock: it would name the wheelhouse, and a service names no place of the machine it is from.
    _run([*_uv(), "venv", "--quiet", "--python", sys.executable, ".venv"], cwd=folder)
    _run(
        [
            *(*_uv(), "pip", "install", "--quiet", "--python", str(_program(folder, "python"))),
            *("--refresh-package", "fastapi-baseline", "--editable", "."),
        ],
        cwd=folder,
        extra={"UV_FIND_LINKS": wheelhouse},
    )
    screen.done("Installed, with what it needs", seconds=time.monotonic() - started)


def _migrate(screen: Screen, folder: Path) -> None:
    started = time.monotonic()
    baseline = str(_program(folder, "baseline"))
    _run([baseline, "db", "revision", "-m", "create items", "--autogenerate"], cwd=folder)
    revisions = sorted((folder / "alembic/versions").glob("*.py"))
    if len(revisions) != 1:
        raise StepFailedError(f"One migration should have been written, not {len(revisions)}.")
    _run([baseline, "db", "upgrade"], cwd=folder)
    screen.done("Made and ran its first migration", seconds=time.monotonic() - started)
    screen.detail('baseline db revision -m "create items"')
    screen.detail(f"baseline db upgrade    # {revisions[0].relative_to(folder)}")


@contextmanager
def _running(
    screen: Screen, folder: Path, log: Path, *, traces: TraceReceiver, redis: RedisProcess
) -> Generator[Service]:
    started = time.monotonic()
    port = _free_port()
    told = {
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
        # So many that it is never reached, and Redis is asked for each request all the same.
        "RATE_LIMITS__PER_ADDRESS": "1000000/minute",
        "REDIS_URL": redis.url,
        "SHUTDOWN__DRAIN_DELAY": str(DRAIN_SECONDS),
    }
    shown = told | {"REDIS_URL": f"redis://...@{redis.url.rpartition('@')[2]}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(_program(folder, "baseline")), "run", "--port", str(port)],
            cwd=folder,
            # The key that its tokens are signed with is in there, too.
            env=_clean() | told | {"TMPDIR": str(folder.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this program, which then stops the service.
            start_new_session=True,
        )
    service = Service(process=process, address=f"http://127.0.0.1:{port}", log=log)
    try:
        _wait_until_alive(service)
        screen.done(
            f"Started: {service.address} (process {process.pid})",
            seconds=time.monotonic() - started,
        )
        screen.detail(" ".join(f"{name}={value}" for name, value in shown.items()))
        screen.detail(f"baseline run --port {port}")
        yield service
    finally:
        _stop(process)


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


def _show_health(screen: Screen, service: Service) -> None:
    exchange(screen, service, ("GET", "/livez"), expected=200)
    exchange(screen, service, ("GET", "/readyz"), expected=200)
    screen.done("It is alive, and its database answers")


def _show_items(screen: Screen, service: Service) -> None:
    lamp = {"name": "Blue lamp", "quantity": 3}
    added = exchange(screen, service, ("POST", "/items"), body=lamp, expected=201)
    location = urlsplit(added.headers.get("location", "")).path
    if service.ask("GET", location).body != added.body:
        raise StepFailedError(f"{location!r}, where the item should be, does not show it.")
    screen.done(f"It has stored an item, and says where: {location}")


def _show_lists(screen: Screen, service: Service) -> None:
    for name, quantity in (("Red lamp", 0), ("Green lamp", 7), ("Chair", 4)):
        service.ask("POST", "/items", body={"name": name, "quantity": quantity})
    path = "/items?q=lamp&quantity[gt]=0&sort=-quantity"
    listed = exchange(screen, service, ("GET", path), expected=200)
    _expect_names(listed, "Green lamp", "Blue lamp")
    screen.done("It filters, searches and sorts")
    first = exchange(screen, service, ("GET", "/items?sort=name&limit=3"), expected=200)
    _expect_names(first, "Blue lamp", "Chair", "Green lamp")
    following = f"/items?sort=name&limit=3&cursor={first.body['next']}"
    _expect_names(exchange(screen, service, ("GET", following), expected=200), "Red lamp")
    screen.done("A cursor goes on where the page ended, however deep that is")
    foreign = f"/items?sort=-quantity&limit=3&cursor={first.body['next']}"
    exchange(screen, service, ("GET", foreign), expected=400)
    exchange(screen, service, ("GET", "/items?sort=password"), expected=422)
    screen.done("A cursor of another list, or an order that is not offered, is refused")


def _expect_names(answer: Answer, *names: str) -> None:
    found = [item["name"] for item in answer.body["items"]]
    if found != [*names]:
        raise StepFailedError(f"The list should have {[*names]}, and has {found}.")


def _show_versions(screen: Screen, service: Service) -> None:
    added = service.ask("POST", "/items", body={"name": "Desk", "quantity": 1})
    path = urlsplit(added.headers.get("location", "")).path
    seen = {"If-Match": added.headers.get("etag", "")}
    change = ("PATCH", path)
    exchange(screen, service, change, body={"quantity": 2}, headers=seen, expected=200)
    screen.done("It changes what was read, if nobody else has changed it")
    exchange(screen, service, change, body={"quantity": 3}, headers=seen, expected=412)
    exchange(screen, service, change, body={"quantity": 3}, expected=428)
    if service.ask("GET", path).body["quantity"] != 2:  # noqa: PLR2004 -- as it was changed above
        raise StepFailedError("A change was lost.")
    screen.done("A change of something older is refused: no change is lost")


def _show_errors(screen: Screen, service: Service) -> None:
    wrong = {"name": "", "quantity": -1}
    refused = exchange(screen, service, ("POST", "/items"), body=wrong, expected=422)
    pointers = [error["pointer"] for error in refused.body["errors"]]
    if pointers != ["#/name", "#/quantity"]:
        raise StepFailedError(f"The problem should name both fields, and names {pointers}.")
    screen.done("A request that is wrong is refused, field by field")
    again = {"name": "Blue lamp", "quantity": 1}
    conflict = exchange(screen, service, ("POST", "/items"), body=again, expected=409)
    screen.done("A name that is taken is a conflict")
    media_type = conflict.headers.get("content-type", "")
    request_id = conflict.body["request_id"]
    if media_type != "application/problem+json":
        raise StepFailedError(f"An error should be a problem (RFC 9457), and is {media_type!r}.")
    if conflict.headers.get("x-request-id") != request_id:
        raise StepFailedError("The problem and its response have different request ids.")
    line = service.find_log_line(request_id)
    if line is None:
        raise StepFailedError(f"No line of the access log has the request id {request_id}.")
    screen.detail(json.dumps(conflict.body, indent=2))
    screen.detail(f"log: {line}")
    screen.done(f"Problem, response and log line have the same request id: {request_id}")


def _stay_up(screen: Screen, service: Service) -> None:
    try:
        screen.done(f"Open {service.address}/docs    (Ctrl-C stops it)")
        # Not wait(): a Ctrl-C right before it blocks would go unnoticed.
        while service.process.poll() is None:
            time.sleep(0.1)
    except KeyboardInterrupt:
        print()
    else:
        raise StepFailedError(f"The service ended with code {service.process.returncode}.")


def _ask_baseline(folder: Path, redis: RedisProcess, *arguments: str) -> str:
    """Return what the command writes in the folder of the service."""
    command = [str(_program(folder, "baseline")), *arguments]
    return _run(command, cwd=folder, extra={"REDIS_URL": redis.url, "TMPDIR": str(folder.parent)})


def _run(command: Sequence[str], *, cwd: Path, extra: Mapping[str, str] | None = None) -> str:
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


def _program(folder: Path, name: str) -> Path:
    return folder / ".venv" / "bin" / name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Shows a service at work: rendered, installed, migrated, started, and asked over HTTP.

On a terminal the service stays up until Ctrl-C; anywhere else it is stopped at once. A step that
fails ends the demonstration with exit code 1 and the last lines of the service's log.
"""

import json
import shutil
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
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
from demo_service import ServiceFolder, find_wheelhouse, install, migrate, render
from demo_sign_in import show_sign_in
from demo_stage import Answer, Screen, Service, StepFailedError, exchange
from trace_receiver import TraceReceiver, receiving_traces

from fastapi_baseline.testing.redis import RedisProcess, redis_process

NAME = "order-service"
TAIL_LINES = 20


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
    path, environment = scratch / NAME, scratch / "environment"
    wheelhouse = find_wheelhouse(screen, scratch)
    render(screen, path)
    install(screen, path, environment, wheelhouse=wheelhouse)
    with receiving_traces() as traces, redis_process() as redis:
        # The key that tokens of a developer are signed with is in the second one.
        told = {"REDIS_URL": redis.url, "TMPDIR": str(scratch)}
        folder = ServiceFolder(path=path, environment=environment, told=told)
        migrate(screen, folder, message="create items")
        with _serve(screen, folder, log, traces=traces, redis=redis) as started_service:
            service = _show_service(screen, started_service, folder, traces=traces, redis=redis)
            screen.title(f"All of it in {time.monotonic() - started:.0f} seconds.")
            if sys.stdin.isatty() and sys.stdout.isatty():
                _stay_up(screen, service)
            show_end(screen, service)
        screen.done("The service has stopped")
        show_sign_in(screen, scratch, environment, wheelhouse=wheelhouse)


@contextmanager
def _serve(
    screen: Screen,
    folder: ServiceFolder,
    log: Path,
    *,
    traces: TraceReceiver,
    redis: RedisProcess,
) -> Generator[Service]:
    started = time.monotonic()
    told = {
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
        # So many that it is never reached, and Redis is asked for each request all the same.
        "RATE_LIMITS__PER_ADDRESS": "1000000/minute",
        "SHUTDOWN__DRAIN_DELAY": str(DRAIN_SECONDS),
    }
    shown = told | {"REDIS_URL": f"redis://...@{redis.url.rpartition('@')[2]}"}
    with folder.serve(log, told=told) as service:
        screen.done(
            f"Started: {service.address} (process {service.process.pid})",
            seconds=time.monotonic() - started,
        )
        screen.detail(" ".join(f"{name}={value}" for name, value in shown.items()))
        screen.detail(f"baseline run --port {urlsplit(service.address).port}")
        yield service


def _show_service(
    screen: Screen,
    started: Service,
    folder: ServiceFolder,
    *,
    traces: TraceReceiver,
    redis: RedisProcess,
) -> Service:
    """Show what a service does, and return it as somebody asks it who may do all."""
    screen.title("Who may use it")
    service = show_callers(screen, started, folder.run)
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
    show_purge(screen, service, folder.run)
    show_outage(screen, service, redis)
    show_limit(screen, service)
    return service


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


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

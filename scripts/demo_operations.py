"""The part of the demonstration that operators see: what becomes of a request, and of a service."""

import json
import re
import signal
import subprocess
from http import HTTPStatus
from urllib.parse import urlsplit

from demo_stage import Answer, Screen, Service, StepFailedError, exchange, wait_for
from trace_receiver import TraceReceiver

DRAIN_SECONDS = 1
ROUTE = "/items/{item_id}"
METRIC = "http_server_request_duration_seconds_count"
STOPS_WITHIN_SECONDS = 15.0


def show_one_request(screen: Screen, service: Service, traces: TraceReceiver) -> None:
    """Follow one request through its response, its line in the log, its metric and its trace."""
    path = _add_item(service, "Followed lamp")
    before = _counted(service)
    answer = exchange(screen, service, ("GET", path), expected=200)
    request_id = answer.headers["x-request-id"]
    screen.detail(f"  X-Request-ID: {request_id}")
    line = service.find_log_line(request_id)
    if line is None:
        raise StepFailedError(f"No line of the access log has the request id {request_id}.")
    screen.detail(f"log: {line}")
    said = json.loads(line)
    if said["trace_id"] != request_id or said["route"] != ROUTE or said["db_statements"] < 1:
        raise StepFailedError("The line should have the trace, the route and the statements.")
    after = wait_for(lambda: found if (found := _counted(service)) > before else None)
    if after != before + 1:
        raise StepFailedError(f"{METRIC} should be {before + 1:.0f}, and is {after}.")
    screen.detail(f'{METRIC}{{http_route="{ROUTE}"}}: {before:.0f} → {after:.0f}')
    # That of the request and that of its statement, at least.
    spans = traces.find_trace(request_id, spans=2)
    if not spans:
        raise StepFailedError(f"No trace {request_id} has arrived.")
    for span in spans:
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        screen.detail(f"span: {'  ' if span.parent_span_id else ''}{span.name}  {took:.1f} ms")
    screen.done("Header, log line, metric and trace tell of the same request")


def show_smaller_answers(screen: Screen, service: Service) -> None:
    """Show what is sent compressed, and what is not sent again."""
    plain = service.ask("GET", "/openapi.json")
    packed = service.ask("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    if packed.body != plain.body or packed.headers.get("content-encoding") != "gzip":
        raise StepFailedError("The document should be the same, compressed.")
    screen.detail("GET /openapi.json Accept-Encoding: gzip")
    screen.detail(f"  {packed.sent_bytes} bytes instead of {plain.sent_bytes}")
    path = _add_item(service, "Unchanged lamp")
    tag = service.ask("GET", path).headers["etag"]
    exchange(screen, service, ("GET", path), headers={"If-None-Match": tag}, expected=304)
    screen.done("It compresses what is large, and does not repeat what the caller has")


def show_pages(screen: Screen, service: Service) -> None:
    """Show that the documentation needs nothing from elsewhere."""
    page = service.ask("GET", "/docs")
    loaded: list[str] = re.findall(r'(?:src|href)="([^"]+)"', page.body)
    foreign = [url for url in loaded if not url.startswith("/")]
    if page.status != HTTPStatus.OK or not loaded or foreign:
        raise StepFailedError(f"/docs should load from the service alone, and loads {loaded}.")
    answers = [service.ask("GET", url) for url in loaded if not url.endswith(".png")]
    if any(answer.status != HTTPStatus.OK for answer in answers):
        raise StepFailedError(f"Something that /docs loads is not there: {loaded}.")
    screen.detail(f"GET /docs: {len(loaded)} files, all of them from the service itself")
    policy = page.headers["content-security-policy"]
    screen.detail(f"Content-Security-Policy: {policy.partition('; base-uri')[0]}")
    screen.done("Its documentation works without the Internet")


def show_end(screen: Screen, service: Service) -> None:
    """Stop the service as an orchestrator does, and show that nobody notices."""
    screen.title("How it stops")
    service.process.send_signal(signal.SIGTERM)
    screen.detail("SIGTERM")
    refused = wait_for(lambda: _find_refusal(service))
    if refused is None:
        raise StepFailedError("After SIGTERM it should say that it is not ready, and does not.")
    screen.detail("GET /readyz")
    screen.detail(f"  {refused.status} {json.dumps(refused.body)}")
    exchange(screen, service, ("GET", "/items?limit=1"), expected=200)
    screen.done("It is not ready any more, and still answers")
    try:
        code = service.process.wait(timeout=STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise StepFailedError("The service does not stop.") from error
    if code not in {0, -signal.SIGTERM}:
        raise StepFailedError(f"The service ended with code {code}.")


def _find_refusal(service: Service) -> Answer | None:
    answer = service.ask("GET", "/readyz")
    return answer if answer.status == HTTPStatus.SERVICE_UNAVAILABLE else None


def _add_item(service: Service, name: str) -> str:
    added = service.ask("POST", "/items", body={"name": name, "quantity": 1})
    return urlsplit(added.headers.get("location", "")).path


def _counted(service: Service) -> float:
    """Return how many requests for an item the service has counted."""
    lines: list[str] = service.ask("GET", "/metrics").body.splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith(METRIC) and f'http_route="{ROUTE}"' in line
    )

"""What a demonstration is made with: a screen to tell it on, and a service to ask."""

import gzip
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

PATIENCE_SECONDS = 5.0

Found = TypeVar("Found")


class StepFailedError(Exception):
    """A step did not do what it should; the message says what happened instead."""


class Screen:
    """Writes the story: steps, commands and exchanges, in colour on a terminal."""

    def __init__(self) -> None:
        self._has_colour = sys.stdout.isatty() and not environment().get("NO_COLOR")

    def done(self, text: str, *, seconds: float | None = None) -> None:
        """Say that a step has succeeded."""
        took = "" if seconds is None else self._paint(f"  {seconds:.1f} s", "2")
        self._write(f"{self._paint('✓', '1;32')} {text}{took}")

    def failed(self, text: str) -> None:
        """Say that a step has failed."""
        self._write(f"{self._paint('✗', '1;31')} {text}")

    def detail(self, text: str) -> None:
        """Show something of a step."""
        for line in text.splitlines():
            self._write(f"    {self._paint(line, '36')}")

    def title(self, text: str) -> None:
        """Start a part of the story."""
        self._write(f"\n{self._paint(text, '1')}")

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._has_colour else text

    @staticmethod
    def _write(text: str) -> None:
        # A terminal that cannot show a check mark still shows the rest.
        encoding = sys.stdout.encoding
        print(text.encode(encoding, "replace").decode(encoding), flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the service answered; `sent_bytes` is the size of the body on the way."""

    status: int
    headers: Mapping[str, str]
    body: Any
    sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service while it runs; `token` says who asks it, unless a request says otherwise."""

    process: "subprocess.Popen[bytes]"
    address: str
    log: Path
    token: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, past any proxy; an error is an answer too.

        Nobody is asking if its `Authorization` is empty.
        """
        own = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        sent = {"Content-Type": "application/json", **own, **(headers or {})}
        request = urllib.request.Request(  # noqa: S310 -- the address is our own
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={name: value for name, value in sent.items() if value},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            response = opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            content = response.read()
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(
                status=int(response.status or 0),
                headers=found,
                body=_read(content, found),
                sent_bytes=len(content),
            )

    def find_log_line(self, request_id: str) -> str | None:
        """Return the line of the access log that has this request id, once it is written."""

        def look() -> str | None:
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if request_id in line and "fastapi_baseline.access" in line:
                    return line
            return None

        return wait_for(look)


def _read(content: bytes, headers: Mapping[str, str]) -> Any:
    if headers.get("content-encoding") == "gzip":
        content = gzip.decompress(content)
    text = content.decode()
    return json.loads(text) if text and "json" in headers.get("content-type", "") else text


def wait_for(look: Callable[[], Found | None]) -> Found | None:
    """Return what is found, looking until it is there; `None` if it does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = look()
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def exchange(
    screen: Screen,
    service: Service,
    request: tuple[str, str],
    *,
    expected: int,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request, show it with its answer, and return that.

    Raises:
        StepFailedError: If the answer has another status than the one that is expected.
    """
    method, path = request
    answer = service.ask(method, path, body=body, headers=headers)
    shown = {name: _brief(value, width=40) for name, value in (headers or {}).items() if value}
    sent = "".join(f" {name}: {value}" for name, value in shown.items())
    sent += "" if body is None else f" {json.dumps(body)}"
    screen.detail(f"{method} {path}{sent}")
    screen.detail(f"  {answer.status} {_brief(answer.body)}")
    if answer.status != expected:
        raise StepFailedError(f"{method} {path} answered {answer.status}, not {expected}.")
    return answer


def environment() -> Mapping[str, str]:
    """Return the variables that the demonstration was started with."""
    return os.environ  # noqa: TID251 -- a script has no settings


def _brief(body: object, *, width: int = 100) -> str:
    text = json.dumps(body) if body and not isinstance(body, str) else str(body or "")
    text = text.replace("\n", " ")
    return text if len(text) <= width else text[: width - 1] + "…"

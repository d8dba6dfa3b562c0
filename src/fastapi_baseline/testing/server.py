"""A service as a process of its own, reached over a real socket."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.02
_ATTEMPTS = 3
_PATIENCE = timedelta(seconds=10)
# Machines that run tests are busy; only a service that never starts takes this long.
_START_UP = timedelta(seconds=60)


class ServerFailedError(Exception):
    """The service did not start, or not say what was waited for; the message has its output."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class ServerProcess:
    """A service that runs; what it writes is kept, line by line."""

    def __init__(
        self, command: Sequence[str], *, port: int, env: dict[str, str], cwd: Path
    ) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._news = threading.Condition()
        self._process = subprocess.Popen(  # noqa: S603 - the caller names the program.
            command,
            stdin=subprocess.PIPE,  # See fastapi_baseline.testing.guarded.
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), or `None` while it runs."""
        return self._process.poll()

    @property
    def stdout(self) -> list[str]:
        """Return the lines that it has written to its standard output so far."""
        with self._news:
            return self._lines["stdout"].copy()

    @property
    def stderr(self) -> list[str]:
        """Return the lines that it has written to its standard error so far."""
        with self._news:
            return self._lines["stderr"].copy()

    def wait_for_line(self, *needles: str, timeout: timedelta = _PATIENCE) -> str:
        """Return the first line, on either stream, that contains all of `needles`.

        Raises:
            ServerFailedError: If there is none in time.
        """

        def found() -> str | None:
            lines = (line for lines in self._lines.values() for line in lines)
            return next((line for line in lines if all(n in line for n in needles)), None)

        with self._news:
            line = self._news.wait_for(found, timeout.total_seconds())
        if line is None:
            raise ServerFailedError(f"No line contains {needles!r}.\n{self.output()}")
        return line

    def output(self) -> str:
        """Return all that it has written, to show when something goes wrong."""
        return "\n".join([*self.stdout, *self.stderr]) or "It wrote nothing."

    def send_signal(self, number: int) -> None:
        """Send it a signal, and go on; nothing happens if it has ended."""
        self._process.send_signal(number)

    def wait(self, *, timeout: timedelta = _PATIENCE) -> int:
        """Return its exit code when it has ended by itself.

        Raises:
            ServerFailedError: If it still runs when the time is up.
        """
        try:
            self._process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            raise ServerFailedError(f"It has not ended in time.\n{self.output()}") from None
        return self._end()

    def terminate(self, *, timeout: timedelta = _PATIENCE) -> int:
        """Ask it to stop (SIGTERM), and return its exit code; kill it if it takes too long."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._end()

    def kill(self) -> int:
        """Stop it at once, as a crash does (SIGKILL), and return its exit code."""
        self._process.kill()
        return self._end()

    def wait_until_ready(self, path: str, *, timeout: timedelta) -> None:
        """Return as soon as a GET of `path` is answered with 200.

        Raises:
            ServerFailedError: If the process ends before, or is not ready in time.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        while self._process.poll() is None:
            if self._answers(path):
                return
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailedError(f"{path} did not answer in time.\n{self.output()}")
            time.sleep(_POLL_SECONDS)
        code = self._end()
        raise ServerFailedError(f"The service ended with exit code {code}.\n{self.output()}")

    def _answers(self, path: str) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200  # noqa: PLR2004 - OK.
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._lines[name].append(line.decode(errors="replace").rstrip("\r\n"))
                    self._news.notify_all()

    def _end(self) -> int:
        code = self._process.wait()
        for reader in self._readers:
            reader.join()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code


@contextmanager
def server_process(
    command: Callable[[int], Sequence[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = ".",
    ready_path: str = "/livez",
    timeout: timedelta = _START_UP,
    port: int | None = None,
) -> Generator[ServerProcess]:
    """Start a service and wait until it answers; stop it afterwards.

    `command` makes the command line from the port, which is a free one by default; `env` is added
    to the environment of this process.

    Raises:
        ServerFailedError: If it does not start; the message has its output.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        chosen = port or free_port()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}  # noqa: TID251 - handed on.
        server = ServerProcess(command(chosen), port=chosen, env=environment, cwd=Path(cwd))
        try:
            server.wait_until_ready(ready_path, timeout=timeout)
        except ServerFailedError as error:
            # Somebody else has taken the free port first.
            if port is None and attempt < _ATTEMPTS and "address already in use" in str(error):
                continue
            raise
        except BaseException:
            server.kill()
            raise
        try:
            yield server
        finally:
            server.terminate()
        return


@contextmanager
def uvicorn_server(
    app: str,
    *,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | str = ".",
    python: Path | str = sys.executable,
    ready_path: str = "/livez",
    timeout: timedelta = _START_UP,
    port: int | None = None,
) -> Generator[ServerProcess]:
    """Serve `app` (`"package.main:app"`) with uvicorn, in a process that does not outlive this one.

    Raises:
        ServerFailedError: If it does not start; the message has its output.
    """

    def command(chosen: int) -> Sequence[str]:
        guarded = (str(python), "-m", "fastapi_baseline.testing.guarded", "uvicorn", app)
        return (*guarded, "--host", "127.0.0.1", "--port", str(chosen), *arguments)

    with server_process(
        command, env=env, cwd=cwd, ready_path=ready_path, timeout=timeout, port=port
    ) as server:
        yield server

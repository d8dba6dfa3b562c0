"""A process that serves an application and is replaced when code changes, below one that watches."""

import os
import signal
from collections.abc import Mapping
from multiprocessing import parent_process
from socket import socket
from threading import Thread
from typing import Any

from fastapi_baseline._extras import optional

with optional("uvicorn", extra="server"):
    from uvicorn import Config, Server
    from uvicorn.supervisors import ChangeReload

from fastapi_baseline.lifecycle import growing_heap


def serve_with_reload(app: str, arguments: Mapping[str, Any]) -> None:
    """Serve an application, anew whenever its code changes, until this process is told to stop.

    `arguments` are those of uvicorn.
    """
    config = Config(app, **arguments)
    ChangeReload(config, target=Served(config), sockets=[config.bind_socket()]).run()


class Served:
    """What the process does that is replaced: it serves, and does not outlive the one that watches.

    That of uvicorn goes on when the other is killed, and keeps the port.
    """

    def __init__(self, config: Config) -> None:
        """Serve what the configuration names."""
        self._config = config
        self._server = Server(config)

    def __call__(self, sockets: list[socket] | None = None) -> None:
        """Serve on sockets, until told to stop or left alone."""
        Thread(target=_stop_with_the_parent, daemon=True).start()
        with growing_heap():
            self._config.load()
        self._server.run(sockets=sockets)


def _stop_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

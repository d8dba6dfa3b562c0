import gc

import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.testing import running

REQUESTS = 100


def _scope() -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/items/3",
        "raw_path": b"/items/3",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"origin", b"https://a.example")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }


async def _answer(app: FastAPI, *, times: int) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        del message

    for _ in range(times):
        await app(_scope(), receive, send)


async def test_leaves_nothing_of_a_request_to_the_garbage_collector() -> None:
    settings = Settings(cors_origins=("https://a.example",), trusted_hosts=("testserver",))
    app = create_app(settings, configure_logging=False)

    @app.get("/items/{number}")
    async def show(number: int) -> int:
        return number

    await _answer(app, times=10)
    gc.collect()
    gc.disable()
    try:
        await _answer(app, times=REQUESTS)
        left = gc.collect()
    finally:
        gc.enable()

    # What is in a cycle stays until a collection that stops everybody, for tens of milliseconds.
    assert left < REQUESTS


async def test_a_service_that_has_started_is_kept_out_of_collections() -> None:
    app = create_app(Settings(environment="development"), package=None)

    async with running(app):
        while_it_runs = gc.get_freeze_count()

    assert while_it_runs > REQUESTS
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("kind", ["in a test", "installed", "in a process of others"])
async def test_the_collector_of_a_process_that_is_not_the_services_is_left_alone(kind: str) -> None:
    settings = Settings(environment="test" if kind == "in a test" else "development")
    if kind == "installed":
        app = install(FastAPI(), settings)
    else:
        app = create_app(settings, package=None, configure_logging=kind == "in a test")

    async with running(app):
        while_it_runs = gc.get_freeze_count()

    assert while_it_runs == 0

"""Asks a service everything that its OpenAPI document allows, and much that it does not."""

import json
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fastapi_baseline.testing import free_port, server_process
from fastapi_baseline.testing.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
PROBLEM = "application/problem+json"
METHODS = {"delete", "get", "patch", "post", "put"}

Run = Callable[..., str]
Render = Callable[..., Path]


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory: pytest.TempPathFactory, run: Run, uv: Sequence[str]) -> Path:
    folder = tmp_path_factory.mktemp("schemathesis")
    programs = folder / ".venv" / "bin"
    run(*uv, "venv", "--quiet", "--python", sys.executable, folder / ".venv", cwd=folder)
    run(
        *(*uv, "pip", "install", "--quiet", "--python", programs / "python"),
        *("--group", f"{ROOT / 'pyproject.toml'}:schemathesis"),
        cwd=folder,
    )
    return programs / "st"


@pytest.fixture(scope="module")
def served(
    render_for_session: Render,
    install: Callable[[Path], None],
    run: Run,
    environment: Path,
    postgres_server: PostgresServer,
) -> Generator[tuple[str, dict[str, str]]]:
    """Give the address of a service, and the header of somebody who may do all."""
    service = render_for_session("described-service")
    install(service)
    baseline, port = environment / "baseline", free_port()
    with postgres_server.database() as made:
        url = f"postgresql://{made.partition('://')[2]}"
        variables = {
            "DATABASE_URL": url,
            # So that there are tokens.
            "ENVIRONMENT": "development",
            "LOG__LEVEL": "ERROR",
            # It asks as often as it can.
            "RATE_LIMITS__ENABLED": "false",
        }
        run(baseline, "db", "revision", "-m", "create items", cwd=service, extra=variables)
        run(baseline, "db", "upgrade", cwd=service, extra=variables)
        with server_process(
            lambda _port: [str(baseline), "run"],
            env=variables | {"PORT": str(port)},
            cwd=service,
            port=port,
        ):
            scopes = ("--scope", "items:read", "--scope", "items:write")
            token = run(baseline, "auth", "token", *scopes, cwd=service, extra=variables)
            yield f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token.strip()}"}


@pytest.fixture(scope="module")
def address(served: tuple[str, dict[str, str]]) -> str:
    return served[0]


@pytest.fixture(scope="module")
def headers(served: tuple[str, dict[str, str]]) -> dict[str, str]:
    return served[1]


@pytest.fixture(scope="module")
def document(address: str) -> dict[str, Any]:
    return httpx2.get(f"{address}/openapi.json", trust_env=False).json()


def responses_of(document: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return what is said of each response, by method, path and status."""
    return {
        (method, path, status): response
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
        for status, response in operation["responses"].items()
    }


def test_does_what_its_document_says_in_every_phase_of_schemathesis(
    schemathesis: Path, address: str, headers: dict[str, str], run: Run, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    said_with = [f"{name}: {value}" for name, value in headers.items()]

    run(
        *(schemathesis, "--config-file", CONFIGURATION, "run", f"{address}/openapi.json"),
        *("--header", *said_with),
        *("--checks", "all", "--report-json-path", report),
        cwd=tmp_path,
        extra={"PYTHONPATH": str(CONFIGURATION.parent)},
    )

    said = json.loads(report.read_text(encoding="utf-8"))
    assert said["complete"]
    assert said["operations"]["tested"] == said["operations"]["total"] == 5
    assert said["phases"].keys() == PHASES
    assert {phase["status"] for phase in said["phases"].values()} == {"success"}
    assert (said["failures"], said["errors"], said["filtered"]) == ([], [], 0)
    assert said["test_cases"]["generated"] > 500


def test_describes_every_problem_in_its_document(document: dict[str, Any]) -> None:
    found = responses_of(document)

    for (method, path, status), response in found.items():
        if not status.startswith(("2", "3")):
            assert response["content"].keys() == {PROBLEM}, (method, path, status)
            assert response["headers"].keys() >= {"X-Request-ID", "Retry-After"}
    by_operation = {
        (method, path): {status for *operation, status in found if operation == [method, path]}
        for method, path, _ in found
    }
    assert by_operation["get", "/items"] == {"200", "304", "400", "401", "403", "default"}
    assert by_operation["patch", "/items/{item_id}"] >= {"200", "400", "404", "409", "412", "428"}
    assert "Problem" in document["components"]["schemas"]


def test_describes_the_headers_that_it_sends_in_its_document(
    address: str, headers: dict[str, str], document: dict[str, Any]
) -> None:
    found = responses_of(document)
    item = {"name": "Headed lamp", "quantity": 1}

    added = httpx2.post(f"{address}/items", json=item, headers=headers, trust_env=False)
    shown = httpx2.get(f"{address}{added.headers['location']}", headers=headers, trust_env=False)
    listed = httpx2.get(f"{address}/items", headers=headers, trust_env=False)

    sent = {
        ("post", "/items", "201"): added,
        ("get", "/items/{item_id}", "200"): shown,
        ("get", "/items", "200"): listed,
    }
    for operation, answer in sent.items():
        described = {name.lower() for name in found[operation]["headers"]}
        assert answer.headers.keys() >= described, operation
        for name in {"etag", "link", "location", "x-request-id"} & answer.headers.keys():
            assert name in described, operation
    assert all("X-Request-ID" in response["headers"] for response in found.values())
    for operation in (("patch", "/items/{item_id}", "200"), ("get", "/items/{item_id}", "304")):
        assert "ETag" in found[operation]["headers"]

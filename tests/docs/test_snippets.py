import json
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from httpx2 import Client

from fastapi_baseline import persistence
from fastapi_baseline.testing import ServerProcess, uvicorn_server

ROOT = Path(__file__).parents[2]
PROBLEM = "application/problem+json"
JSON_LINE = re.compile(r"^\{.*\}$")


@contextmanager
def serving(
    name: str, *, ready_path: str, cwd: Path = ROOT / "docs/snippets"
) -> Generator[tuple[Client, ServerProcess]]:
    """Serve an application over a real socket, in a process of its own."""
    with (
        uvicorn_server(f"{name}:app", cwd=cwd, ready_path=ready_path) as server,
        Client(base_url=server.base_url) as client,
    ):
        yield client, server


def readme_code() -> tuple[str, str, str, str]:
    """Return what the README shows: a service, guarded and limited routes, and the data layer."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    service, guarded, limited, data_layer = re.findall(
        r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    return service, guarded, limited, data_layer


def readme_service() -> str:
    return readme_code()[0]


def test_the_service_in_the_readme_has_20_lines() -> None:
    lines = [line for line in readme_service().splitlines() if line.strip()]

    assert len(lines) <= 20


def test_the_service_in_the_readme_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text(readme_service(), encoding="utf-8")

    with serving("notes", cwd=tmp_path, ready_path="/readyz") as (client, server):
        first = client.post("/notes", json={"title": "Buy milk"})
        second = client.post("/notes", json={"title": "Buy milk"})
        listed = client.get("/notes")
        request_id = second.headers["x-request-id"]
        server.wait_for_line(request_id)

    assert first.status_code == 201
    assert second.status_code == 409
    assert second.headers["content-type"] == PROBLEM
    assert [error["pointer"] for error in second.json()["errors"]] == ["#/title"]
    assert listed.json() == [{"title": "Buy milk"}]


@pytest.mark.parametrize(
    ("place", "snippet"),
    [(1, "guarded_routes.py"), (2, "limited_and_cached.py"), (3, "data_layer.py")],
)
def test_the_readme_shows_the_snippet_that_is_run(place: int, snippet: str) -> None:
    run = (ROOT / "docs/snippets" / snippet).read_text(encoding="utf-8")

    assert readme_code()[place] in run


def test_installing_adds_ours_and_keeps_theirs() -> None:
    with serving("install_into_existing", ready_path="/livez") as (client, _):
        own = client.get("/lamps", headers={"Origin": "https://shop.example"})
        own_error = client.get("/lamps/green")
        unknown = client.get("/chairs")

    assert own.json() == ["blue", "red"]
    assert own.headers["x-content-type-options"] == "nosniff"
    assert own.headers["access-control-allow-origin"] == "https://shop.example"
    assert own_error.status_code == 410
    assert own_error.json() == {"error": "out of stock"}
    assert own_error.headers["x-request-id"]
    assert unknown.headers["content-type"] == PROBLEM


def test_a_layer_works_without_the_rest() -> None:
    with serving("one_layer", ready_path="/lamps") as (client, _):
        response = client.get("/lamps", headers={"X-Request-ID": "an-id-of-the-caller"})

    assert response.headers["x-request-id"] == "an-id-of-the-caller"
    assert response.headers["x-frame-options"] == "DENY"


def test_problems_work_without_the_rest() -> None:
    with serving("problems_only", ready_path="/lamps/1") as (client, _):
        missing = client.get("/lamps/2")
        invalid = client.get("/lamps/blue")

    assert (missing.status_code, missing.headers["content-type"]) == (404, PROBLEM)
    assert missing.json()["detail"] == "There is no such lamp."
    assert invalid.json()["errors"][0]["pointer"] == "#/number"


def test_the_database_works_without_the_rest() -> None:
    with serving("database_only", ready_path="/openapi.json") as (client, _):
        added = client.post("/lamps", json={"name": "blue"})
        listed = client.get("/lamps")

    assert added.status_code == 201
    assert listed.json() == [{"name": "blue"}]


def test_the_probes_work_without_the_rest() -> None:
    with serving("probes_only", ready_path="/livez") as (client, _):
        response = client.get("/readyz")

    assert response.json() == {"status": "ok", "checks": {"search": "ok"}}


def test_logs_work_without_the_rest() -> None:
    with serving("logs_only", ready_path="/openapi.json") as (client, server):
        client.get("/lamps", headers={"X-Request-ID": "an-id-of-the-caller"})
        server.wait_for_line("fastapi_baseline.access")

    lines = [json.loads(line) for line in server.stdout if JSON_LINE.match(line)]
    of_request = [line for line in lines if line.get("request_id") == "an-id-of-the-caller"]
    assert [line["msg"] for line in of_request] == ["Listed", "GET /lamps 200"]
    assert of_request[0]["lamps"] == 2


def test_errors_are_mapped_as_the_guide_says() -> None:
    with serving("mapped_errors", ready_path="/livez") as (client, _):
        placed = client.post("/orders", json={"itemNumber": 1, "quantity": 1})
        conflict = client.post("/orders", json={"itemNumber": 1, "quantity": 11})
        away = client.post("/orders", json={"itemNumber": 1, "quantity": 0})
        unknown = client.post("/orders", json={"itemNumber": 1001, "quantity": 1})
        document = client.get("/openapi.json").json()

    assert {"409", "422", "503"} <= document["paths"]["/orders"]["post"]["responses"].keys()
    assert placed.status_code == 201
    assert (conflict.status_code, conflict.json()["code"]) == (409, "not_enough_stock")
    assert (away.status_code, away.headers["retry-after"]) == (503, "30")
    assert unknown.json()["errors"] == [
        {
            "in": "body",
            "pointer": "#/itemNumber",
            "detail": "There is no such item.",
            "code": "unknown_item",
        }
    ]


def test_the_tests_of_the_guides_pass(tmp_path: Path) -> None:
    snippets = sorted(
        path.name
        for path in (ROOT / "docs/snippets").glob("*.py")
        if "def test_" in path.read_text(encoding="utf-8")
    )

    result = subprocess.run(
        (sys.executable, "-m", "pytest", f"--basetemp={tmp_path / 'base'}", *snippets),
        capture_output=True,
        check=False,
        cwd=ROOT / "docs/snippets",
        text=True,
    )

    assert len(snippets) >= 10
    assert result.returncode == 0, result.stdout


def test_the_reference_has_every_name_of_the_data_layer() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    errors = {name for name in persistence.__all__ if name.endswith("Error")}

    missing = [
        name
        for name in persistence.__all__
        if name not in errors and not re.search(rf"^\.\. auto\w+:: .*\.{name}$", page, re.MULTILINE)
    ]

    assert missing == []


def test_every_snippet_is_shown_on_a_page() -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
    shown = "\n".join(pages.values())

    unseen = [path.name for path in (ROOT / "docs/snippets").glob("*.py") if path.name not in shown]

    assert unseen == []

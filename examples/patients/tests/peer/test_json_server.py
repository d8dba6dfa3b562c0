"""Answers of this service, next to those of the json-server that it replaces."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi_baseline.testing import PostgresServer
from httpx2 import Client, Response
from peer.servers import ORIGIN, Peers, install, started

TABLE: dict[str, list[Any]] = json.loads(
    Path(__file__).with_name("requests.json").read_text(encoding="utf-8")
)
COMPARED = ("x-total-count", "link", "access-control-allow-origin")
MADE_ID = re.compile(r"[A-Za-z0-9_-]{7,16}")


@pytest.fixture(scope="session")
def program() -> Path:
    return install()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def peers(
    request: pytest.FixtureRequest, program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Peers]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        with started(program, folder, f"sqlite:///{folder}/patients.db") as both:
            yield both
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url, started(program, folder, url) as both:
        yield both


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len({*TABLE["reads"]}) == len(TABLE["reads"]) >= 40


@pytest.mark.parametrize("path", TABLE["reads"])
def test_answers_a_read_as_json_server_does(path: str, peers: Peers) -> None:
    theirs, ours = both(peers, "GET", path)

    assert ours.json() == theirs.json()
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("path", TABLE["heads"])
def test_answers_head_as_json_server_does(path: str, peers: Peers) -> None:
    theirs, ours = both(peers, "HEAD", path)

    assert ours.content == theirs.content == b""
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("body", TABLE["writes"], ids=lambda body: body["patientID"])
def test_stores_a_patient_as_json_server_does(body: dict[str, Any], peers: Peers) -> None:
    theirs, ours = both(peers, "POST", "/patients", json=body)

    stored, answer = theirs.json(), ours.json()
    if not body.get("id"):
        assert MADE_ID.fullmatch(answer["id"])
        stored["id"] = answer["id"]
    assert answer == stored
    assert seen(ours) == seen(theirs)
    location = ours.headers["location"]
    if body.get("id") in {None, "", "given"}:
        assert location == str(ours.request.url) + "/" + answer["id"]
        their_id = theirs.json()["id"]
        assert theirs.headers["location"] == str(theirs.request.url) + "/" + their_id
    assert peers.ours.get(location).json() == answer


def test_lists_what_was_stored_in_the_same_order(peers: Peers) -> None:
    theirs, ours = both(peers, "GET", "/patients?_sort=name&patientID_like=^N")

    assert [p["patientID"] for p in ours.json()] == [p["patientID"] for p in theirs.json()]
    assert len(ours.json()) == len(TABLE["writes"])


def test_exposes_the_headers_that_json_server_exposes(peers: Peers) -> None:
    for method, path, body in (
        ("GET", "/patients?_page=1", None),
        ("POST", "/patients", TABLE["writes"][0] | {"patientID": "exposed"}),
    ):
        theirs, ours = both(peers, method, path, json=body)

        exposed = [
            {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
            for answer in (theirs, ours)
        ]
        assert exposed[0] <= exposed[1]


def test_lets_a_page_ask_before_it_posts(peers: Peers) -> None:
    asking = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }

    theirs, ours = both(peers, "OPTIONS", "/patients", headers=asking)

    assert theirs.is_success
    assert ours.is_success
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    for answer in (theirs, ours):
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "content-type" in answer.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("case", TABLE["differences"], ids=lambda case: case["about"])
def test_differs_where_the_readme_says_so(case: dict[str, Any], peers: Peers) -> None:
    if "get" in case:
        theirs, ours = both(peers, "GET", case["get"])
    else:
        theirs, ours = both(peers, "POST", "/patients", json=case["post"])

    assert (theirs.status_code, ours.status_code) == (case["theirs"], case["ours"])
    assert theirs.content != ours.content
    if ours.is_error:
        assert ours.headers["content-type"] == "application/problem+json"


def both(
    peers: Peers,
    method: str,
    path: str,
    *,
    json: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[Response, Response]:
    def ask(client: Client) -> Response:
        sent = {"origin": ORIGIN, **(headers or {})}
        return client.request(method, path, json=json, headers=sent)

    return ask(peers.theirs), ask(peers.ours)


def seen(response: Response) -> dict[str, Any]:
    """Return what of a response is compared, the address of the server left out."""
    root = str(response.request.url.join("/"))
    headers = {name: response.headers.get(name) for name in COMPARED}
    return {
        "status": response.status_code,
        "type": response.headers["content-type"].partition(";")[0],
        **{name: value and value.replace(root, "http://host/") for name, value in headers.items()},
    }

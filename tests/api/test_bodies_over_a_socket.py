import importlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from httpx2 import Client

from fastapi_baseline.testing import ServerProcess, uvicorn_server

BROTLI: Any = importlib.import_module("brotli")  # It has no types.
LAMPS = ["blue", "red"] * 500
MAKE_DECODER: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    "br": lambda: BROTLI.Decompressor().process,
    "gzip": lambda: zlib.decompressobj(31).decompress,
}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with uvicorn_server(
        "served_bodies:app", cwd=Path(__file__).parent, ready_path="/lamps"
    ) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(base_url=server.base_url, headers={"Accept-Encoding": "identity"}) as client:
        yield client


def _accepting(encoding: str, **headers: str) -> dict[str, str]:
    return {"Accept-Encoding": encoding} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }


def _raw(client: Client, path: str, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
    with client.stream("GET", path, headers=headers) as response:
        return dict(response.headers), b"".join(response.iter_raw())


@pytest.mark.parametrize("encoding", MAKE_DECODER)
def test_a_client_reads_what_it_asked_for(client: Client, encoding: str) -> None:
    headers, raw = _raw(client, "/lamps", _accepting(encoding))

    assert json.loads(MAKE_DECODER[encoding]()(raw)) == LAMPS
    assert headers["content-encoding"] == encoding
    assert headers["content-length"] == str(len(raw))
    assert headers["etag"] == f'"7-{encoding}"'
    assert headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("encoding", MAKE_DECODER)
def test_a_client_reads_a_file(client: Client, encoding: str) -> None:
    headers, raw = _raw(client, "/file", _accepting(encoding))

    assert json.loads(MAKE_DECODER[encoding]()(raw))[-1] == {"number": 19_999}
    assert headers["etag"].endswith(f'-{encoding}"')
    assert "content-length" not in headers


@pytest.mark.parametrize("encoding", ["gzip, deflate", "gzip;q=0", "", "identity", "gzip;q=x", "*"])
def test_a_client_reads_what_it_gets_whatever_it_asks_for(client: Client, encoding: str) -> None:
    response = client.get("/lamps", headers=_accepting(encoding))

    assert response.status_code == 200
    assert response.json() == LAMPS


def test_get_and_head_have_the_same_headers(client: Client) -> None:
    got = client.get("/lamps", headers=_accepting("br"))
    headed = client.head("/lamps", headers=_accepting("br"))

    dropped = {"date", "content-length"}
    assert {name: value for name, value in headed.headers.items() if name not in dropped} == {
        name: value for name, value in got.headers.items() if name not in dropped
    }
    assert headed.content == b""


def test_each_part_of_a_stream_arrives_when_it_is_sent(client: Client) -> None:
    decode = MAKE_DECODER["zstd"]()

    with client.stream("GET", "/parts", headers=_accepting("zstd")) as response:
        parts = response.iter_raw()
        first = decode(next(parts))
        client.post("/release")
        rest = b"".join(decode(part) for part in parts)

    assert (first, rest) == (b"first", b"second")
    assert response.headers["content-encoding"] == "zstd"


def test_events_are_not_encoded(client: Client) -> None:
    headers, raw = _raw(client, "/events", _accepting("gzip"))

    assert raw == b"data: 1\n\n"
    assert "content-encoding" not in headers


@pytest.mark.parametrize("path", ["/lamps", "/untagged", "/file"])
@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip", "identity"])
def test_who_has_it_is_sent_nothing(client: Client, path: str, encoding: str) -> None:
    first = client.get(path, headers=_accepting(encoding))
    tag = first.headers["ETag"]

    again = client.get(path, headers=_accepting(encoding, If_None_Match=f'"old", {tag}'))
    headed = client.get("/lamps", headers=_accepting(encoding, If_None_Match='"old", "7"'))

    assert (again.status_code, headed.status_code) == (304, 304)
    assert (again.headers["ETag"], again.headers["Vary"]) == (tag, "Accept-Encoding")
    assert again.headers.keys() <= {"etag", "vary", "date", "server"}


def test_who_can_no_longer_read_it_is_sent_another_one(client: Client) -> None:
    response = client.get("/lamps", headers=_accepting("br", If_None_Match='"7-gzip"'))

    assert response.status_code == 200
    assert response.headers["ETag"] == '"7-br"'


def test_a_stream_that_the_client_has_is_not_made(server: ServerProcess, client: Client) -> None:
    response = client.get("/endless", headers=_accepting("gzip", If_None_Match='"e-gzip"'))

    server.wait_for_line("The endless stream has ended.")
    assert response.status_code == 304


def test_who_wants_another_one_is_refused(client: Client) -> None:
    response = client.get("/lamps", headers=_accepting("gzip", If_Match='"6-gzip"'))

    assert response.status_code == 412
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "precondition_failed"


@pytest.mark.parametrize("ending", ["-gzip", "-br", "-zstd", ""])
def test_a_tag_means_the_version_in_any_encoding(client: Client, ending: str) -> None:
    response = client.get("/lamps", headers=_accepting("gzip", If_Match=f'"7{ending}"'))

    assert response.status_code == 200


def test_parts_are_those_of_the_file_as_it_is(client: Client) -> None:
    response = client.get("/file", headers=_accepting("gzip", Range="bytes=0-9"))

    assert (response.status_code, response.content) == (206, b'[{"number"')
    assert "Content-Encoding" not in response.headers
    assert not response.headers["ETag"].endswith('-gzip"')


def test_who_has_a_part_of_an_encoded_file_is_sent_all_of_it(client: Client) -> None:
    encoded = client.get("/file", headers=_accepting("gzip"))
    plain = client.get("/file")

    ranged = {"Range": "bytes=0-9"}
    of_encoded = client.get(
        "/file", headers=_accepting("gzip", If_Range=encoded.headers["ETag"]) | ranged
    )
    of_plain = client.get(
        "/file", headers=_accepting("gzip", If_Range=plain.headers["ETag"]) | ranged
    )

    assert of_encoded.status_code == 200
    assert of_encoded.headers["ETag"] == encoded.headers["ETag"]
    assert of_plain.status_code == 206
    assert "Accept-Ranges" not in encoded.headers
    assert plain.headers["Accept-Ranges"] == "bytes"


def test_an_error_is_answered_as_without_the_layers(client: Client) -> None:
    broken = client.get("/broken", headers=_accepting("gzip", If_None_Match="*"))
    missing = client.get("/nothing", headers=_accepting("gzip", If_None_Match="*"))

    assert (broken.status_code, missing.status_code) == (500, 404)
    assert missing.headers["Content-Type"] == "application/problem+json"

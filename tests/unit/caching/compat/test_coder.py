from dataclasses import dataclass

import pytest
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from fastapi_baseline.caching.compat.coder import StableBytes, TypedCoder, UnkeptBytes


class Aliased(BaseModel):
    name: str = Field(validation_alias="in", serialization_alias="out")


@dataclass
class Point:
    x: int
    y: int


def test_names_on_the_wire_do_not_matter() -> None:
    value = Aliased.model_validate({"in": "ann"})

    assert TypedCoder.decode_as_type(TypedCoder.encode(value), type_=Aliased) == value


def test_a_dataclass_comes_back() -> None:
    found = TypedCoder.decode_as_type(TypedCoder.encode(Point(1, 2)), type_=Point)

    assert found == Point(1, 2)


def test_without_a_type_it_is_what_json_has() -> None:
    assert TypedCoder.decode_as_type(TypedCoder.encode(Point(1, 2)), type_=None) == {
        "x": 1,
        "y": 2,
    }


def test_a_response_comes_back_with_its_status_and_headers() -> None:
    encoded = TypedCoder.encode(Response(b"a", 203, headers={"X-Source": "b"}))

    found = TypedCoder.decode_as_type(encoded, type_=Point)

    assert isinstance(found, Response)
    assert (found.status_code, found.body, found.headers["x-source"]) == (203, b"a", "b")


def with_cookie() -> Response:
    response = Response()
    response.set_cookie("a", "b")
    return response


@pytest.mark.parametrize(
    "value",
    [
        JSONResponse({}, 500),
        with_cookie(),
        StreamingResponse(iter([b"a"])),
        Response(headers={"Cache-Control": "no-store"}),
        b"\xff",
    ],
    ids=["error", "cookie", "stream", "no-store", "no text"],
)
def test_some_values_are_not_kept(value: object) -> None:
    assert isinstance(TypedCoder.encode(value), UnkeptBytes)


def test_equal_bytes_have_one_hash_and_others_another() -> None:
    assert hash(StableBytes(b"a")) == hash(StableBytes(b"a")) == 38582675093786123
    assert hash(StableBytes(b"a")) != hash(StableBytes(b"b"))
    assert StableBytes(b"a") == b"a"

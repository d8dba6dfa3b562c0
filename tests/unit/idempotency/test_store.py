import pytest

from fastapi_baseline.idempotency import StoredResponse

RESPONSES = {
    "JSON": StoredResponse(
        status=201, headers=[(b"content-type", b"application/json")], body=b'{"a":1}'
    ),
    "bytes": StoredResponse(
        status=200, headers=[(b"x-name", b"\xe4\xff"), (b"x-name", b"b")], body=b"\x00\n\xff\n"
    ),
    "empty": StoredResponse(status=204, headers=[], body=b""),
    "not kept": StoredResponse(status=200, headers=[], body=None),
}


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES.keys())
def test_comes_back_from_one_value_as_it_was(response: StoredResponse) -> None:
    assert StoredResponse.from_bytes(response.to_bytes()) == response

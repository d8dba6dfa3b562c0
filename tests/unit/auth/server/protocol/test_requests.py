import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.auth.server.errors import ProtocolError
from fastapi_baseline.auth.server.protocol.requests import parse_form


def test_empty_parameters_count_as_left_out() -> None:
    assert parse_form(b"a=1&b=&c=%C3%A9+d") == {"a": "1", "c": "é d"}


@pytest.mark.parametrize("body", [b"a=1&a=1", b"a=1&a=", b"a=&a=", b"a=1&%61=2"])
def test_no_parameter_comes_twice(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_form(body)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        form = parse_form(body)
    except ProtocolError:
        return
    assert all(form.values())

from fastapi_baseline.caching.outcomes import note_outcome
from fastapi_baseline.context import RequestContext, request_context


def test_what_the_cache_did_goes_into_the_access_line() -> None:
    current = RequestContext(request_id="1")
    token = request_context.set(current)

    note_outcome("hit")

    request_context.reset(token)
    assert current.fields == {"cache": "hit"}


def test_outside_of_a_request_there_is_no_line() -> None:
    note_outcome("hit")

    assert request_context.get() is None

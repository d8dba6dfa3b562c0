import logging
from collections.abc import Iterator

import pytest

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.observability.logging.output import LineOutput


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers[:] = [kept for kept in handlers if not isinstance(kept, LineOutput)]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture
def in_request() -> Iterator[RequestContext]:
    request = RequestContext(request_id="abcdefgh")
    token = request_context.set(request)
    yield request
    request_context.reset(token)

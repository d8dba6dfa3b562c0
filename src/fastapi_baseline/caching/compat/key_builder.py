"""Keys for `@cache` that tell callers, queries and functions apart."""

from collections.abc import Callable
from typing import Any

from fastapi.dependencies.utils import get_typed_return_annotation
from pydantic import PydanticSchemaGenerationError, PydanticUserError
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline import context
from fastapi_baseline.caching.compat.coder import adapter_of
from fastapi_baseline.caching.keys import (
    HOST,
    Credentials,
    caller_of,
    digest_of,
    identity_of,
    select_headers,
    url_of,
)
from fastapi_baseline.settings import CacheSettings


class KeyBuilder:
    """A key builder for `FastAPICache.init`.

    The key of a route is made of the URL, the tenant, the principal and all credentials, and not of
    what its parameters look like. That of any other function is made of its arguments, and of the
    tenant and principal of the request that it is called in, if any.
    """

    is_ours = True

    def __init__(self, settings: CacheSettings) -> None:
        """Know the credentials that the settings name."""
        self._credentials = Credentials(settings)
        self._shapes: dict[Callable[..., Any], str] = {}

    def __call__(
        self,
        function: Callable[..., Any],
        namespace: str = "",
        /,
        *,
        request: Request | None = None,
        response: Response | None = None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        """Return the key of what a function returns."""
        del response
        identity = identity_of(function)
        if request is None:
            current = context.current()
            subject: object = (
                repr(args),
                repr(sorted(kwargs.items())),
                None if current is None else current.tenant,
                None if current is None else repr(current.principal),
            )
        else:
            scope = request.scope
            subject = (
                url_of(scope),
                select_headers(scope, (HOST,)),
                caller_of(scope, self._credentials),
            )
        digest = digest_of(identity, self._shape_of(function), subject)
        return f"{namespace}:{identity}-{digest}"

    def _shape_of(self, function: Callable[..., Any]) -> str:
        """Return a hash of what a function returns, so that no other shape is read as that."""
        known = self._shapes.get(function)
        if known is None:
            known = self._shapes[function] = _describe(get_typed_return_annotation(function))
        return known


def _describe(annotation: Any) -> str:
    if annotation is None:
        return ""
    try:
        return digest_of(repr(adapter_of(annotation).json_schema()))
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return repr(annotation)


make_key = KeyBuilder(CacheSettings())
"""A key builder that knows the credentials that services have by default."""

"""What a service tells clients about the tokens that it accepts (RFC 9728)."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.responses import JSONResponse

from fastapi_baseline.access import public
from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.errors import ConfigurationError

_WELL_KNOWN = "/.well-known/oauth-protected-resource"


def make_protected_resource_router(
    *,
    resource: str,
    issuers: Sequence[str],
    scopes: Sequence[str] = (),
    name: str | None = None,
    documentation: str | None = None,
) -> APIRouter:
    """Return a router with the metadata of a protected resource, which are public.

    `resource` is the URL of the service, as its callers know it; if it has a path, that comes after
    the well-known one (section 3.1).

    Raises:
        ConfigurationError: If `resource` is no URL with https, or has a query or a fragment.
    """
    metadata: dict[str, object] = {
        "resource": resource,
        "authorization_servers": list(issuers),
        # Neither in a form nor in the URL, which ends up in logs (RFC 9700, section 4.3.2).
        "bearer_methods_supported": ["header"],
    }
    # What has no value is left out (section 3.2).
    if scopes:
        metadata["scopes_supported"] = list(scopes)
    if name is not None:
        metadata["resource_name"] = name
    if documentation is not None:
        metadata["resource_documentation"] = documentation
    router = APIRouter(tags=["auth"])

    @router.get(
        _path_of(resource),
        summary="Show which access tokens are accepted",
        responses={200: {"description": "The metadata of a protected resource (RFC 9728)"}},
    )
    @public
    async def show_protected_resource() -> JSONResponse:
        return JSONResponse(metadata)

    return router


def find_metadata_url(resource: str) -> str:
    """Return where the metadata of a resource are: what challenges name as `resource_metadata`.

    Raises:
        ConfigurationError: If `resource` is no URL with https, or has a query or a fragment.
    """
    path = _path_of(resource)
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _path_of(resource: str) -> str:
    check_address(resource, what="The URL of the service")
    parts = urlsplit(resource)
    if parts.query or not resource.isascii() or set(resource) & set('"\\{}'):
        raise ConfigurationError("The URL of the service must have no query, and be in ASCII.")
    return f"{_WELL_KNOWN}{parts.path.rstrip('/')}"

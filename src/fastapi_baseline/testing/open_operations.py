"""What an application does for whoever does not say who they are, seen from outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.routes import access_routes_of
from fastapi_baseline.testing.client import client_of

with optional("httpx2", extra="testing"):
    from httpx2 import AsyncClient, Response

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_UNAUTHENTICATED = 401
# What a path takes where it does not say more: a number is a text, too.
_ANY = "1"
_SAMPLES = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "ipv4": "192.0.2.1",
    "time": "00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an OpenAPI document, and a URL at which it can be asked for."""

    method: str
    path: str
    url: str
    is_public: bool
    """Whether its route is marked as meant for everybody."""
    security: Sequence[Mapping[str, Sequence[str]]]
    """What the document says of who may use it; nothing means everybody."""

    def __str__(self) -> str:
        """Return the method and the path."""
        return f"{self.method} {self.path}"


def operations_of(app: FastAPI) -> Iterator[Operation]:
    """Yield all operations of the OpenAPI document of an application."""
    document = app.openapi()
    public = {
        (method, route.name.path)
        for route in access_routes_of(app)
        if route.is_public
        for method in route.name.methods
    }
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                yield Operation(
                    method=method.upper(),
                    path=path,
                    url=_url(
                        path, [*item.get("parameters", ()), *_parameters(operation)], document
                    ),
                    is_public=(method.upper(), path) in public,
                    security=operation.get("security", document.get("security", ())),
                )


async def find_open_operations(
    app: FastAPI, *, headers: Mapping[str, str] | None = None
) -> list[str]:
    """Ask for every operation without credentials, and return those that are open by mistake.

    Of each that is not marked `public` the answer must be 401, in the form of a problem and with a
    challenge; anything else is returned, with its status. `headers` are sent with each request, such
    as credentials that are no good. Requests have no body: who is asking is what a route finds out
    first. An application that is in `running` is asked as it is, and any other is started.
    """
    wrong: list[str] = []
    async with client_of(app, base_url="https://testserver") as client:
        for operation in operations_of(app):
            if not operation.is_public:
                response = await _ask(client, operation, headers or {})
                fault = _find_fault(response)
                if fault:
                    wrong.append(f"{operation}: {fault}")
    return wrong


async def _ask(client: AsyncClient, operation: Operation, headers: Mapping[str, str]) -> Response:
    # Cookies that an earlier answer has set are not what is asked about.
    client.cookies.clear()
    return await client.request(operation.method, operation.url, headers=dict(headers))


def _find_fault(response: Response) -> str | None:
    if response.status_code != _UNAUTHENTICATED:
        return str(response.status_code)
    if response.headers.get("content-type") != "application/problem+json":
        return "401, and no problem"
    if "www-authenticate" not in response.headers:
        return "401, and no challenge"
    return None


def _parameters(operation: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return operation.get("parameters", ())


def _url(path: str, parameters: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> str:
    for parameter in parameters:
        if parameter.get("in") == "path":
            schema = _resolve(parameter.get("schema", {}), document)
            path = path.replace(f"{{{parameter['name']}}}", _sample(schema))
    return path


def _sample(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return str(schema["enum"][0])
    if "const" in schema:
        return str(schema["const"])
    return _SAMPLES.get(schema.get("format", ""), _ANY)


def _resolve(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        alternatives = cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", ()))
        return _resolve(alternatives[0], document) if alternatives else schema
    name = str(reference).rpartition("/")[2]
    return document["components"]["schemas"][name]

from copy import deepcopy
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBasic
from starlette.requests import HTTPConnection

from fastapi_baseline.access import deciding, public
from fastapi_baseline.auth import (
    SELF,
    Authentication,
    CurrentPrincipal,
    HasSecuritySchemes,
    OptionalPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    get_principal,
    require_recent_auth,
)
from fastapi_baseline.auth.openapi import (
    document_security,
    make_api_key_scheme,
    make_authorization_code_scheme,
    make_bearer_scheme,
    make_openid_connect_scheme,
    prepare_documentation_pages,
)


class Way:
    challenge: str | None = None

    def __init__(self, name: str, scheme: dict[str, Any]) -> None:
        self.scheme_name = name
        self.scheme = scheme

    def is_offered(self, connection: HTTPConnection) -> bool:
        return True

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer=SELF, subject="ada", transport="bearer")


class Tokens(Way):
    @property
    def security_schemes(self) -> dict[str, dict[str, Any]]:
        return {
            "bearer": make_bearer_scheme(),
            "oidc": make_openid_connect_scheme("https://id.example"),
        }


BEARER = Way("bearer", make_bearer_scheme())
KEY = Way("key", make_api_key_scheme("X-Key"))


def make_app(*ways: Way) -> FastAPI:
    app = FastAPI()
    app.state.authentication = Authentication(ways or (BEARER, KEY))
    return app


def documented(app: FastAPI) -> dict[str, Any]:
    document = app.openapi()
    document_security(app, document)
    return document


def operation_of(app: FastAPI, path: str = "/x", method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = documented(app)["paths"][path][method]
    return found


def guarded_by(*guards: Any) -> dict[str, Any]:
    app = make_app()

    @app.get("/x", dependencies=[Depends(guard) for guard in guards])
    async def show() -> None: ...

    return operation_of(app)


def test_every_way_is_a_scheme() -> None:
    app = make_app(Tokens("bearer", {}), KEY)

    assert documented(app)["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "oidc": {
            "type": "openIdConnect",
            "openIdConnectUrl": "https://id.example/.well-known/openid-configuration",
        },
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    assert isinstance(Tokens("bearer", {}), HasSecuritySchemes)


def test_a_guarded_operation_takes_each_of_them() -> None:
    operation = guarded_by(get_principal)

    assert operation["security"] == [{"bearer": []}, {"key": []}]


def test_scopes_of_all_guards_are_needed() -> None:
    operation = guarded_by(RequireScopes(all=["b", "a"]), RequireScopes(all=["c"], any=["a", "d"]))

    assert operation["security"] == [{"bearer": ["a", "b", "c"]}, {"key": ["a", "b", "c"]}]


def test_one_of_several_scopes_makes_alternatives() -> None:
    operation = guarded_by(RequireScopes(all=["a"], any=["b", "c"]))

    assert [one["bearer"] for one in operation["security"] if "bearer" in one] == [
        ["a", "b"],
        ["a", "c"],
    ]


def test_too_many_alternatives_are_not_listed() -> None:
    guards = [RequireScopes(all=["z"], any=[f"{name}{n}" for n in range(3)]) for name in "abc"]

    assert guarded_by(*guards)["security"] == [{"bearer": ["z"]}, {"key": ["z"]}]


def test_a_public_operation_asks_for_nothing() -> None:
    app = make_app()

    @app.get("/x")
    @public
    async def show() -> None: ...

    operation = operation_of(app)
    assert operation["security"] == []
    assert set(operation["responses"]) == {"200"}


def test_a_public_operation_with_a_guard_is_guarded() -> None:
    app = make_app()

    @app.get("/x", dependencies=[Depends(get_principal)])
    @public
    async def show() -> None: ...

    assert operation_of(app)["security"] == [{"bearer": []}, {"key": []}]


def test_credentials_may_be_left_out_where_nobody_needs_them() -> None:
    app = make_app()

    @app.get("/x")
    @public
    async def show(principal: OptionalPrincipal) -> None: ...

    operation = operation_of(app)
    assert operation["security"] == [{}, {"bearer": []}, {"key": []}]
    assert "401" in operation["responses"]


def test_an_operation_that_was_forgotten_stays_as_it_is() -> None:
    app = make_app()

    @app.get("/x")
    async def show() -> None: ...

    assert "security" not in operation_of(app)


def test_what_else_is_asked_for_stays() -> None:
    app = make_app()

    @app.get("/x")
    async def show(
        basic: Annotated[Any, Depends(HTTPBasic())], principal: CurrentPrincipal
    ) -> None: ...

    document = documented(app)
    assert document["components"]["securitySchemes"]["HTTPBasic"]["scheme"] == "basic"
    assert document["paths"]["/x"]["get"]["security"] == [
        {"HTTPBasic": []},
        {"bearer": []},
        {"key": []},
    ]


def test_a_guard_of_ones_own_does_not_take_our_credentials() -> None:
    @deciding
    async def check_signature() -> None: ...

    operation = guarded_by(check_signature)
    assert "security" not in operation
    assert set(operation["responses"]) == {"200"}


@pytest.mark.parametrize(
    ("guard", "codes"),
    [
        (get_principal, {"400": {"ambiguous_credentials"}, "401": {"unauthenticated"}}),
        (
            RequireScopes(all=["a"]),
            {
                "400": {"ambiguous_credentials"},
                "401": {"unauthenticated"},
                "403": {"insufficient_scope"},
            },
        ),
        (
            RequireRoles(all=["a"]),
            {
                "400": {"ambiguous_credentials"},
                "401": {"unauthenticated"},
                "403": {"insufficient_role"},
            },
        ),
        (
            require_recent_auth(acr="gold"),
            {
                "400": {"ambiguous_credentials"},
                "401": {"unauthenticated", "insufficient_user_authentication"},
            },
        ),
    ],
    ids=["principal", "scopes", "roles", "recent"],
)
def test_refusals_are_problems(guard: Any, codes: dict[str, set[str]]) -> None:
    responses = guarded_by(guard)["responses"]

    assert {
        status: set(response["content"]["application/problem+json"]["examples"])
        for status, response in responses.items()
        if status != "200"
    } == codes
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert ("WWW-Authenticate" in responses.get("403", {}).get("headers", {})) is isinstance(
        guard, RequireScopes
    )


def test_what_an_operation_says_itself_stays() -> None:
    app = make_app()
    said: dict[int | str, dict[str, Any]] = {
        401: {"description": "Not you", "content": {"application/problem+json": {"schema": {}}}},
        400: {"$ref": "#/components/responses/Bad"},
    }

    @app.get("/x", dependencies=[Depends(get_principal)], responses=said)
    async def show() -> None: ...

    responses = operation_of(app)["responses"]
    assert responses["401"]["description"] == "Not you"
    assert responses["401"]["content"]["application/problem+json"]["schema"] == {}
    assert responses["400"]["$ref"] == "#/components/responses/Bad"
    assert "content" not in responses["400"]


def test_to_say_it_twice_changes_nothing() -> None:
    app = make_app()
    router = APIRouter(prefix="/v1", dependencies=[Depends(RequireScopes(any=["a", "b"]))])

    @router.get("/x/{number:int}")
    async def show(number: int) -> None: ...

    @router.delete("/x/{number:int}")
    async def remove(number: int) -> None: ...

    app.include_router(router)

    first = deepcopy(documented(app))
    assert documented(app) == first
    for method in ("get", "delete"):
        assert len(first["paths"]["/v1/x/{number}"][method]["security"]) == 4


def test_what_is_not_in_the_document_is_left_out() -> None:
    app = make_app()
    inner = FastAPI()
    inner.get("/x")(public(lambda: None))
    app.mount("/inner", inner)
    app.get("/hidden", include_in_schema=False, dependencies=[Depends(get_principal)])(lambda: None)

    assert documented(app)["paths"] == {}


@pytest.mark.parametrize("authentication", [None, Authentication([])])
def test_without_any_way_nothing_is_said(authentication: Authentication | None) -> None:
    app = FastAPI()
    app.get("/x", dependencies=[Depends(get_principal)])(lambda: None)
    if authentication is not None:
        app.state.authentication = authentication

    document = documented(app)

    assert "components" not in document
    assert "security" not in document["paths"]["/x"]["get"]


def test_schemes_may_be_described() -> None:
    scheme = make_authorization_code_scheme(
        authorization_url="https://id.example/authorize",
        token_url="https://id.example/token",
        scopes={"orders:read": "Read orders"},
        description="Sign in",
    )

    assert scheme == {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "https://id.example/authorize",
                "tokenUrl": "https://id.example/token",
                "scopes": {"orders:read": "Read orders"},
            }
        },
        "description": "Sign in",
    }
    assert make_api_key_scheme("session", location="cookie")["in"] == "cookie"


def test_the_pages_get_tokens_with_a_proof() -> None:
    app, own = FastAPI(), FastAPI(swagger_ui_init_oauth={"clientId": "docs"})

    prepare_documentation_pages(app)
    prepare_documentation_pages(own)

    assert app.swagger_ui_init_oauth == {"usePkceWithAuthorizationCodeGrant": True}
    assert own.swagger_ui_init_oauth == {
        "usePkceWithAuthorizationCodeGrant": True,
        "clientId": "docs",
    }

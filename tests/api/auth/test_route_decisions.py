import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.staticfiles import StaticFiles

from fastapi_baseline import ConfigurationError, Settings, create_app, install
from fastapi_baseline.auth import CurrentPrincipal, anybody, find_undecided, public
from fastapi_baseline.auth.route_decisions import check_route_decisions
from fastapi_baseline.health import CheckRegistration
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.settings.values import Environment
from fastapi_baseline.testing import as_user, running
from fastapi_baseline.testing.client import LifespanFailedError

ISSUER = AuthSettings(issuer="https://id.example", audience=("https://api.example",))


class Answering:
    name = "answering"

    async def check(self) -> None: ...


def make_app(kind: str) -> FastAPI:
    settings = Settings(environment="test")
    checks = [CheckRegistration(Answering())]
    if kind == "created":
        return create_app(settings, checks=checks, configure_logging=False)
    app = FastAPI()
    install(app, settings, checks=checks)
    return app


@pytest.fixture(params=["created", "installed"])
def app(request: pytest.FixtureRequest) -> FastAPI:
    return make_app(request.param)


def test_what_the_library_serves_has_decided(app: FastAPI) -> None:
    assert find_undecided(app) == []


async def test_what_the_library_serves_is_still_served(app: FastAPI) -> None:
    async with running(app) as client:
        paths = ("/livez", "/readyz", "/openapi.json", "/docs", "/metrics", "/info")
        statuses = {path: (await client.get(path)).status_code for path in paths}

    assert statuses == dict.fromkeys(paths, 200)


def test_a_forgotten_route_is_found_wherever_it_is(app: FastAPI) -> None:
    inner = FastAPI()
    inner.get("/forgotten")(lambda: None)
    inner.get("/public")(public(lambda: None))
    app.mount("/inner", inner)
    app.mount("/files", StaticFiles(directory=".", check_dir=False))

    @app.websocket("/feed")
    async def feed(websocket: WebSocket) -> None: ...

    @app.get("/mine")
    async def show_mine(principal: CurrentPrincipal) -> None: ...

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, principal: CurrentPrincipal) -> None: ...

    assert [route.path for route in find_undecided(app)] == [
        "/inner/forgotten",
        "/files/*",
        "/feed",
    ]
    with pytest.raises(ConfigurationError, match="3 routes"):
        check_route_decisions(app, refuse=True)


def test_a_router_of_somebody_else_can_be_opened(app: FastAPI) -> None:
    theirs = FastAPI()
    theirs.get("/status")(lambda: "ok")
    app.include_router(theirs.router, prefix="/theirs", dependencies=[Depends(anybody)])

    assert find_undecided(app) == []


def add_forgotten_route(app: FastAPI) -> None:
    app.get("/forgotten")(lambda: None)


@pytest.mark.parametrize(
    ("environment", "refuse_undecided"),
    [("production", None), ("staging", None), ("development", True), ("test", True)],
)
async def test_does_not_start_with_a_forgotten_route(
    environment: Environment, *, refuse_undecided: bool | None
) -> None:
    auth = ISSUER.model_copy(update={"refuse_undecided": refuse_undecided})
    settings = Settings(environment=environment, auth=auth)
    app = create_app(settings, configure_logging=False)
    add_forgotten_route(app)

    with pytest.raises(LifespanFailedError, match=r"1 route does not say(.|\n)*GET /forgotten"):
        async with running(app):
            pass


@pytest.mark.parametrize(
    ("environment", "refuse_undecided", "warnings"),
    [("development", None, 1), ("production", False, 1), ("test", None, 0)],
)
async def test_starts_where_it_may(
    environment: Environment,
    *,
    refuse_undecided: bool | None,
    warnings: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    auth = ISSUER.model_copy(update={"refuse_undecided": refuse_undecided})
    settings = Settings(environment=environment, auth=auth)
    app = create_app(settings, configure_logging=False)
    add_forgotten_route(app)

    async with running(app) as client:
        response = await client.get("/forgotten")

    assert response.status_code == 200
    said = [record for record in caplog.records if record.name == "fastapi_baseline.auth"]
    assert len(said) == warnings
    assert all("GET /forgotten" in record.getMessage() for record in said)


async def test_does_not_start_if_nobody_can_pass_its_guards() -> None:
    app = create_app(Settings(environment="production"), configure_logging=False)

    @app.get("/mine")
    async def show_mine(principal: CurrentPrincipal) -> None: ...

    with pytest.raises(LifespanFailedError, match=r"AUTH__ISSUER(.|\n)*"):
        async with running(app):
            pass


async def test_a_service_that_knows_nobody_has_nothing_to_decide() -> None:
    app = create_app(Settings(environment="production"), configure_logging=False)
    add_forgotten_route(app)

    async with running(app) as client:
        response = await client.get("/forgotten")

    assert response.status_code == 200


async def test_clients_of_tests_are_known_in_mounted_applications(app: FastAPI) -> None:
    inner = FastAPI()

    @inner.get("/mine")
    async def show_mine(principal: CurrentPrincipal) -> str:
        return principal.subject

    app.mount("/inner", inner)

    async with running(app) as nobody, as_user(app, "ada") as ada:
        known, unknown = await ada.get("/inner/mine"), await nobody.get("/inner/mine")

    assert (known.status_code, known.json()) == (200, "ada")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "unauthenticated")

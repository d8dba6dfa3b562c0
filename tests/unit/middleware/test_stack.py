from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 -- to show its absence

from fastapi_baseline import Settings
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.middleware import make_stack
from fastapi_baseline.settings import SecurityHeadersSettings


def _names(settings: Settings) -> list[str]:
    return [
        getattr(layer.cls, "__name__", "") for layer in make_stack(settings, clock=SystemClock())
    ]


def test_puts_what_gives_headers_outside_of_what_makes_errors() -> None:
    assert _names(Settings(cors_origins=("https://a.example",))) == [
        "RequestContextMiddleware",
        "AccessLogMiddleware",
        "SecurityHeadersMiddleware",
        "CORSMiddleware",
        "ErrorBoundaryMiddleware",
    ]


def test_leaves_out_what_is_switched_off() -> None:
    settings = Settings(security_headers=SecurityHeadersSettings(enabled=False))

    assert _names(settings) == [
        "RequestContextMiddleware",
        "AccessLogMiddleware",
        "ErrorBoundaryMiddleware",
    ]


def test_is_pure_asgi() -> None:
    layers = make_stack(Settings(cors_origins=("*",)), clock=SystemClock())

    assert not any(
        isinstance(layer.cls, type) and issubclass(layer.cls, BaseHTTPMiddleware)
        for layer in layers
    )

"""What the matrix shares with the tests of the template: the environment that services are tested in."""

from tests.template.conftest import (
    clean_environment,
    environment,
    install,
    render_for_session,
    run,
    uv,
    wheelhouse,
)

__all__ = [
    "clean_environment",
    "environment",
    "install",
    "render_for_session",
    "run",
    "uv",
    "wheelhouse",
]

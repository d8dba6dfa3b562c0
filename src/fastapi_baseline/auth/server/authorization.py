"""The authorization endpoint (RFC 6749, section 3.1), and the page on which people agree.

Everything is checked before anybody is asked anything. Who must sign in or agree is sent to a page
of its own, which knows what was asked: the browser sends back only which one it means, and what its
user says.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.pages import Pages
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.authorization_endpoint import AuthorizationEndpoint
from fastapi_baseline.auth.server.authorization_outcomes import (
    INTERACTION_PATH,
    find_return_targets,
)
from fastapi_baseline.auth.server.authorization_requests import UnusableRequestError
from fastapi_baseline.auth.sessions import CsrfError
from fastapi_baseline.errors import BaselineError

__all__ = ["AUTHORIZE_PATH", "find_return_targets", "make_authorization_router"]

AUTHORIZE_PATH = "/oauth2/authorize"


def make_authorization_router() -> APIRouter:
    """Return the endpoint to which clients send their users, and the page on which those agree."""
    router = APIRouter(include_in_schema=False)
    page = f"{INTERACTION_PATH}{{interaction_id}}"
    router.add_api_route(AUTHORIZE_PATH, authorize, methods=["GET", "POST"])
    router.add_api_route(page, show_interaction, methods=["GET"])
    router.add_api_route(page, answer_interaction, methods=["POST"])
    return router


@public
async def authorize(request: Request) -> Response:
    """Let a client ask its user; the answer goes to the client, if it is known where that is."""
    try:
        return await AuthorizationEndpoint(request).begin()
    except BaselineError as error:
        return await _show_error(request, error)


@public
async def show_interaction(request: Request, interaction_id: str) -> Response:
    """Go on where a user has signed in, or ask whether the client may have what it asks for."""
    try:
        return await AuthorizationEndpoint(request).show(interaction_id)
    except BaselineError as error:
        return await _show_error(request, error)


@public
async def answer_interaction(request: Request, interaction_id: str) -> Response:
    """Take what a user says: that the client may, or may not."""
    try:
        return await AuthorizationEndpoint(request).take(interaction_id)
    except CsrfError as error:
        # Who has signed in once more, in another tab, has a page of a session that is over.
        return Pages.of(request).render_error(
            error, continue_url=request.url.path, continue_label="Open the page again"
        )
    except BaselineError as error:
        return await _show_error(request, error)


async def _show_error(request: Request, error: BaselineError) -> Response:
    """Tell people what is wrong: what is asked here comes from browsers."""
    pages = Pages.of(request)
    if isinstance(error, UnusableRequestError):
        events = AuthorizationServer.of(request).events
        details = {"endpoint": "authorization", "reason": error.code}
        await events.record(
            SecurityEvent(name="client_refused", outcome="failure", details=details)
        )
    return pages.render_error(error)

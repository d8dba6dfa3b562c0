"""What the pages of a service ask about the session that they are in."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from fastapi_baseline.access import public
from fastapi_baseline.auth.dependencies import CurrentPrincipal
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.sessions.errors import (
    CsrfError,
    SessionEndedError,
    SessionNotFoundError,
    SessionRequiredError,
    SessionsUnavailableError,
)
from fastapi_baseline.auth.sessions.service import Sessions
from fastapi_baseline.problems import problem_responses


class CurrentSession(BaseModel):
    """Who has signed in, as far as their own pages need to know."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Which session this is; it does not let anybody in")
    issuer: str
    subject: str
    scopes: list[str]
    roles: list[str]
    auth_time: datetime | None = Field(description="When they last proved who they are")
    acr: str | None = Field(description="How well they did")
    amr: list[str] = Field(description="By what they did (RFC 8176)")
    expires_at: datetime | None = Field(
        description="When the session ends, however much it is used"
    )


class ListedSession(BaseModel):
    """One session of somebody, as they see it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="What it is ended by; it does not let anybody in")
    is_current: bool = Field(description="Whether it is the one that asks")
    created_at: datetime
    last_seen_at: datetime = Field(description="When it was last used, or up to a minute before")
    expires_at: datetime
    user_agent: str | None = Field(description="What the browser calls itself")
    address: str | None = Field(description="Where it began")


async def require_session(principal: CurrentPrincipal) -> Principal:
    """Return who is asking, if they have signed in with a browser.

    Raises:
        SessionRequiredError: If they have a token or a key: it was not given to them for this.
    """
    if principal.session_id is None or principal.transport != "session":
        raise SessionRequiredError
    return principal


SessionPrincipal = Annotated[Principal, Depends(require_session)]
"""Who is asking, by a session; others are refused (403)."""


async def require_own_page(request: Request) -> None:
    """Let only pages of the service change something, also for those without a session.

    For routes such as signing in: `dependencies=[Depends(require_own_page)]`. Another site could
    otherwise sign a user in as somebody else, and see what they then do.

    Raises:
        CsrfError: If the request does not show that it comes from one.
    """
    sessions = Sessions.of(request)
    try:
        sessions.csrf.check(request)
    except CsrfError:
        await sessions.report_csrf()
        raise


def make_sessions_router(*, prefix: str = "/auth", tags: list[str] | None = None) -> APIRouter:
    """Return the routes for who has signed in: who am I, my sessions, sign out.

    They are about the sessions of the asker only.
    """
    options: dict[str, Any] = {"prefix": prefix, "tags": [*(tags or ["auth"])]}
    router = APIRouter(**options, responses=problem_responses(SessionsUnavailableError))
    known = problem_responses(SessionEndedError, SessionRequiredError)
    changing = problem_responses(SessionEndedError, SessionRequiredError, CsrfError)
    router.get("/session", summary="Who has signed in", responses=known)(get_session)
    router.get("/sessions", summary="My sessions", responses=known)(list_sessions)
    router.delete(
        "/sessions/{session_id}",
        status_code=204,
        summary="End one of my sessions",
        responses={**changing, **problem_responses(SessionNotFoundError)},
    )(end_session)
    router.delete("/sessions", status_code=204, summary="End all my sessions", responses=changing)(
        end_sessions
    )
    router.post(
        "/sign-out", status_code=204, summary="Sign out", responses=problem_responses(CsrfError)
    )(sign_out)
    return router


async def get_session(principal: SessionPrincipal, response: Response) -> CurrentSession:
    """Say who has signed in, and how."""
    _forbid_storing(response)
    return CurrentSession(
        id=principal.session_id or "",
        issuer=principal.issuer,
        subject=principal.subject,
        scopes=sorted(principal.scopes),
        roles=sorted(principal.roles),
        auth_time=principal.auth_time,
        acr=principal.acr,
        amr=sorted(principal.amr),
        expires_at=principal.expires_at,
    )


async def list_sessions(
    principal: SessionPrincipal, request: Request, response: Response
) -> list[ListedSession]:
    """List where the asker has signed in, the newest first."""
    _forbid_storing(response)
    records = await Sessions.of(request).list(principal.issuer, principal.subject)
    return [
        ListedSession(
            id=record.id,
            is_current=record.id == principal.session_id,
            created_at=record.created_at,
            last_seen_at=record.last_seen_at,
            expires_at=record.expires_at,
            user_agent=record.user_agent,
            address=record.address,
        )
        for record in records
    ]


async def end_session(
    session_id: Annotated[str, Path(max_length=64)],
    principal: SessionPrincipal,
    *,
    request: Request,
    response: Response,
) -> None:
    """End one of the asker's sessions; that of somebody else is not found."""
    sessions = Sessions.of(request)
    if not await sessions.revoke(session_id, issuer=principal.issuer, subject=principal.subject):
        raise SessionNotFoundError
    if session_id == principal.session_id:
        sessions.cookie.delete(response)


async def end_sessions(
    principal: SessionPrincipal,
    request: Request,
    response: Response,
    *,
    keep_current: Annotated[bool, Query(description="All others only")] = False,
) -> None:
    """End all sessions of the asker, with the one that asks or without."""
    sessions = Sessions.of(request)
    kept = principal.session_id if keep_current else None
    await sessions.revoke_all(principal.issuer, principal.subject, except_=kept)
    if kept is None:
        sessions.cookie.delete(response)


@public
async def sign_out(request: Request, response: Response) -> None:
    """End the session of the browser, if it has one; whoever has none is signed out already."""
    sessions = Sessions.of(request)
    secret = sessions.cookie.find(request)
    if secret is not None:
        try:
            await sessions.csrf.check_session(request, secret=secret)
        except CsrfError:
            await sessions.report_csrf()
            raise
    await sessions.end(request, response)


def _forbid_storing(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"

"""What users see of the programs that may act for them, and how they take it back."""

import re
from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.consents import Consents
from fastapi_baseline.auth.server.errors import GrantNotFoundError
from fastapi_baseline.auth.sessions import CsrfError, SessionPrincipal, SessionRequiredError
from fastapi_baseline.problems import problem_responses

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class ListedGrant(BaseModel):
    """What one program was allowed, as its user sees it."""

    id: str = Field(description="What it is taken back by; it gives nobody anything")
    client_id: str
    client_name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime = Field(description="When the program last got a token for it")
    expires_at: datetime = Field(description="When it ends, however much it is used")


def make_grants_router(*, prefix: str = "/auth", tags: list[str] | None = None) -> APIRouter:
    """Return the routes by which users see what they have allowed, and take it back.

    They are about the grants of the asker only, and for those who have signed in with a browser: no
    program sees what others may.
    """
    router = APIRouter(prefix=prefix, tags=[*(tags or ["grants"])])
    refused = problem_responses(SessionRequiredError)
    router.get("/grants", responses=refused)(list_grants)
    router.delete(
        "/grants/{grant_id}",
        status_code=HTTPStatus.NO_CONTENT,
        responses=problem_responses(SessionRequiredError, CsrfError, GrantNotFoundError),
    )(revoke_grant)
    return router


async def list_grants(
    principal: SessionPrincipal, request: Request, response: Response
) -> list[ListedGrant]:
    """List which programs may act for the asker, the newest first."""
    response.headers["Cache-Control"] = "no-store"
    server = AuthorizationServer.of(request)
    grants = await server.grants.list(principal.subject, issuer=principal.issuer)
    names = {one.client_id: one.name for one in await server.clients.list()} if grants else {}
    return [
        ListedGrant(
            id=grant.id,
            client_id=grant.client_id,
            client_name=names.get(grant.client_id, grant.client_id),
            scopes=grant.scopes,
            created_at=grant.created_at,
            last_used_at=grant.last_used_at,
            expires_at=grant.expires_at,
        )
        for grant in grants
    ]


async def revoke_grant(grant_id: str, principal: SessionPrincipal, request: Request) -> None:
    """Take back what a program was allowed; it gets no token any more, and has to ask again.

    That of somebody else is not found.
    """
    server = AuthorizationServer.of(request)
    grant = await server.grants.find(grant_id) if _ID.fullmatch(grant_id) else None
    if grant is None or (grant.issuer, grant.subject) != (principal.issuer, principal.subject):
        raise GrantNotFoundError
    if not await server.grants.revoke(grant_id, subject=principal.subject):
        raise GrantNotFoundError
    consents = Consents(server.database, clock=server.clock)
    await consents.forget(principal, grant.client_id)

"""How a request for authorization can end, or be put off until its user has said something."""

from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from fastapi_baseline.auth.pages import Pages
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.authorization_answers import make_answer, make_redirect
from fastapi_baseline.auth.server.authorization_requests import (
    AuthorizationError,
    AuthorizationRequest,
    ReturnAddress,
)
from fastapi_baseline.auth.server.consents import Consents, describe
from fastapi_baseline.auth.server.grants import Approval
from fastapi_baseline.auth.server.interactions import (
    Interaction,
    Interactions,
)
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.sessions import Sessions

INTERACTION_PATH = "/oauth2/interactions/"
SIGN_IN_PATH = "/sign-in"
"""Where people sign in who have to."""

# A client that only looks whether somebody is there is told so, and nothing has happened.
_UNREMARKABLE = frozenset({"consent_required", "login_required"})


class AuthorizationOutcomes:
    """What one request of a browser can be answered with."""

    def __init__(self, request: Request, server: AuthorizationServer) -> None:
        """Answer this request, with codes of this server."""
        self._request = request
        self._server = server
        self.interactions = interactions_of(server)
        self.consents = Consents(server.database, clock=server.clock)

    async def allow(self, interaction: Interaction, user: Principal, *, agrees: bool) -> Response:
        """Give the client its code; `agrees` says that the user was asked, and is not asked again.

        The code is there at once with the end of the interaction, or not at all.

        Raises:
            InteractionNotFoundError: If it was answered already.
        """
        wanted, server = interaction.request, self._server
        async with server.database.transaction() as session:
            await self.interactions.use_up(session, interaction)
            if agrees:
                await self.consents.remember(
                    session, user, client_id=wanted.client_id, scopes=wanted.scopes
                )
            code = await server.grants.issue_code(session, _approval_of(wanted, user))
        if user.session_id is not None and await _has_session_ended(self._request):
            # Maybe before there was a grant that could end with it.
            await server.grants.revoke_session(user.session_id)
            error = AuthorizationError("login_required")
            response = await self.refuse(
                wanted.return_address, error, client_id=wanted.client_id, user=user
            )
        else:
            granted = SecurityEvent(
                name="authorization_granted",
                outcome="success",
                subject=user.subject,
                details={"client": wanted.client_id},
            )
            await server.events.record(granted)
            response = make_answer(wanted.return_address, {"code": code}, issuer=server.issuer)
        self.interactions.forget(response, interaction)
        return response

    async def end(
        self, interaction: Interaction, error: AuthorizationError, *, user: Principal | None
    ) -> Response:
        """Tell the client why it gets no code, now that its user was asked.

        Raises:
            InteractionNotFoundError: If it was answered already.
        """
        wanted = interaction.request
        async with self._server.database.transaction() as session:
            await self.interactions.use_up(session, interaction)
        response = await self.refuse(
            wanted.return_address, error, client_id=wanted.client_id, user=user
        )
        self.interactions.forget(response, interaction)
        return response

    async def refuse(
        self,
        address: ReturnAddress,
        error: AuthorizationError,
        *,
        client_id: str,
        user: Principal | None = None,
    ) -> Response:
        """Tell a client why it gets no code."""
        if error.error not in _UNREMARKABLE:
            denied = SecurityEvent(
                name="authorization_denied",
                outcome="failure",
                subject=None if user is None else user.subject,
                details={"client": client_id, "reason": error.error},
            )
            await self._server.events.record(denied)
        said = {"error": error.error}
        if error.description is not None:
            said["error_description"] = error.description
        return make_answer(address, said, issuer=self._server.issuer)

    async def wait(self, wanted: AuthorizationRequest) -> Response:
        """Send the browser to a page of its own, where it says who has signed in."""
        new = await self.interactions.begin(wanted)
        response = make_redirect(path_of(self._request, new.interaction))
        new.keep(self._request, response)
        return response

    async def send_to_sign_in(self, interaction: Interaction) -> Response:
        """Send the browser to where people sign in, and from there back to what was asked."""
        new = None
        if interaction.id is None:
            new = await self.interactions.begin(interaction.request)
            interaction = new.interaction
        values = {"return_to": path_of(self._request, interaction)}
        if interaction.request.login_hint is not None:
            values["email"] = interaction.request.login_hint
        query = urlencode(values, quote_via=quote)
        response = make_redirect(f"{_root_of(self._request)}{SIGN_IN_PATH}?{query}")
        if new is not None:
            new.keep(self._request, response)
        return response

    async def ask(self, interaction: Interaction, user: Principal, client: OAuthClient) -> Response:
        """Show the page on which a user says whether the client may."""
        wanted = interaction.request
        if interaction.id is None:
            return await self.wait(wanted)
        owner = await self._server.find_owner(user.subject)
        email = None if owner is None else owner.claims.get("email", {}).get("email")
        return Pages.of(self._request).render(
            "consent",
            form_targets=[wanted.redirect_uri],
            action=path_of(self._request, interaction),
            form_token=Sessions.of(self._request).make_form_token(self._request),
            client_name=client.name,
            scopes=describe(wanted.scopes, self._server.settings.scope_descriptions),
            user=email,
            destination=_destination_of(wanted.redirect_uri),
        )


def interactions_of(server: AuthorizationServer) -> Interactions:
    """Return the requests that wait for the users of a server."""
    return Interactions(
        server.database,
        lifetime=server.settings.interaction_lifetime,
        clock=server.clock,
        token_bytes=server.token_bytes,
    )


def path_of(connection: HTTPConnection, interaction: Interaction) -> str:
    """Return where the page of an interaction is."""
    return f"{_root_of(connection)}{INTERACTION_PATH}{interaction.id}"


async def find_return_targets(connection: HTTPConnection, return_to: str) -> list[str]:
    """Return where a form may end that leads to `return_to`: at the client that has asked.

    It is for the page on which people sign in, whose policy browsers apply to redirects, too.
    """
    prefix = f"{_root_of(connection)}{INTERACTION_PATH}"
    if not return_to.startswith(prefix):
        return []
    interactions = interactions_of(AuthorizationServer.of(connection))
    found = await interactions.find(connection, return_to[len(prefix) :].partition("?")[0])
    return [] if found is None else [found.request.redirect_uri]


async def _has_session_ended(connection: HTTPConnection) -> bool:
    sessions = Sessions.of(connection)
    secret = sessions.cookie.find(connection)
    return secret is not None and await sessions.find(secret) is None


def _approval_of(wanted: AuthorizationRequest, user: Principal) -> Approval:
    return Approval(
        client_id=wanted.client_id,
        redirect_uri=wanted.redirect_uri,
        subject=user.subject,
        scopes=frozenset(wanted.scopes),
        code_challenge=wanted.code_challenge,
        nonce=wanted.nonce,
        session_id=user.session_id,
        session_expires_at=user.expires_at,
        auth_time=user.auth_time,
        acr=user.acr,
        amr=user.amr,
    )


def _root_of(connection: HTTPConnection) -> str:
    root: str = connection.scope.get("root_path", "")
    return root.rstrip("/")


def _destination_of(redirect_uri: str) -> str:
    """Return what people know an address by: its host, or the scheme of an app."""
    parts = urlsplit(redirect_uri)
    return parts.hostname or parts.scheme

"""What becomes of a request for authorization: checked, kept while its user is asked, answered."""

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from fastapi_baseline.auth.dependencies import find_principal
from fastapi_baseline.auth.pages import InvalidFormError, read_form
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.authorization_answers import read_pairs
from fastapi_baseline.auth.server.authorization_decisions import Step, decide
from fastapi_baseline.auth.server.authorization_outcomes import AuthorizationOutcomes
from fastapi_baseline.auth.server.authorization_requests import (
    AuthorizationError,
    Parameters,
    UnusableRequestError,
    find_client_id,
    find_return_address,
    read_authorization_request,
)
from fastapi_baseline.auth.server.interactions import Interaction
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.own_tokens import ID_TOKEN, read_own_token


class AuthorizationEndpoint:
    """Answers one request of a browser about what a client asks for."""

    def __init__(self, request: Request) -> None:
        """Answer this request.

        Raises:
            ConfigurationError: If its application has no authorization server.
        """
        self._request = request
        self._server = AuthorizationServer.of(request)
        self._outcomes = AuthorizationOutcomes(request, self._server)

    async def begin(self) -> Response:
        """Check what a client asks for, and answer it if its user need not be asked.

        A form of another site comes without the session, so its user is looked for on the page that
        it is sent to.

        Raises:
            UnusableRequestError: If it is not known who asks, or where the answer would go.
        """
        parameters = Parameters(await read_pairs(self._request))
        client = await self._get_client(find_client_id(parameters))
        address = find_return_address(parameters, accepts=client.has_redirect_uri)
        try:
            wanted = await read_authorization_request(
                parameters,
                address,
                client=client,
                supported_scopes=self._server.scopes,
                find_hinted=lambda hint: self._find_hinted(hint, client),
            )
        except AuthorizationError as error:
            return await self._outcomes.refuse(address, error, client_id=client.client_id)
        if self._request.method == "POST":
            return await self._outcomes.wait(wanted)
        asked_at = self._server.clock.now()
        return await self._go_on(Interaction(request=wanted, asked_at=asked_at), client)

    async def show(self, interaction_id: str) -> Response:
        """Go on with what was asked: its user may have signed in, or is to say whether they agree.

        Raises:
            InteractionNotFoundError: If it is over, or belongs to another browser.
            UnusableRequestError: If the client has been removed meanwhile.
        """
        interaction = await self._outcomes.interactions.get(self._request, interaction_id)
        return await self._go_on(interaction, await self._get_client_of(interaction))

    async def take(self, interaction_id: str) -> Response:
        """Take what a user says, on the page that asked whether the client may.

        Raises:
            InteractionNotFoundError: If it is over, or belongs to another browser.
            UnusableRequestError: If the client has been removed meanwhile.
            InvalidFormError: If they say neither yes nor no.
            CsrfError: If the form is not from the page.
        """
        fields = await read_form(self._request)
        interaction = await self._outcomes.interactions.get(self._request, interaction_id)
        client = await self._get_client_of(interaction)
        # It also finds out whether the form has the token of the session.
        user = await find_user(self._request)
        decision = fields.get("decision")
        if decision not in {"allow", "deny"}:
            raise InvalidFormError
        if user is not None and decision == "deny":
            error = AuthorizationError("access_denied")
            return await self._outcomes.end(interaction, error, user=user)
        return await self._go_on(interaction, client, agrees=True)

    async def _go_on(
        self, interaction: Interaction, client: OAuthClient, *, agrees: bool = False
    ) -> Response:
        user = await find_user(self._request)
        try:
            step = await self._decide(interaction, user, client)
        except AuthorizationError as error:
            return await self._outcomes.end(interaction, error, user=user)
        if user is None or step == "sign_in":
            return await self._outcomes.send_to_sign_in(interaction)
        if step == "allow" or agrees:
            return await self._outcomes.allow(interaction, user, agrees=step == "ask")
        return await self._outcomes.ask(interaction, user, client)

    async def _decide(
        self, interaction: Interaction, user: Principal | None, client: OAuthClient
    ) -> Step:
        agreed: frozenset[str] | None = None
        if not client.is_first_party:
            consents = self._outcomes.consents
            agreed = await consents.find(user, client.client_id) if user else frozenset()
        return decide(interaction.request, user, asked_at=interaction.asked_at, agreed=agreed)

    async def _get_client(self, client_id: str) -> OAuthClient:
        client = await self._server.clients.find(client_id)
        if client is None:
            raise UnusableRequestError("The application that sent you here is not known.")
        return client

    async def _get_client_of(self, interaction: Interaction) -> OAuthClient:
        client = await self._get_client(interaction.request.client_id)
        if not client.has_redirect_uri(interaction.request.redirect_uri):
            raise UnusableRequestError
        return client

    async def _find_hinted(self, hint: str, client: OAuthClient) -> str | None:
        server = self._server
        claims = await read_own_token(
            hint,
            issuer=server.issuer,
            keys=server.signing_keys,
            clock=server.clock,
            kind=ID_TOKEN,
            may_be_expired=True,
        )
        if claims is None or claims.get("aud") != client.client_id:
            return None
        return str(claims["sub"])


async def find_user(connection: HTTPConnection) -> Principal | None:
    """Return who has signed in with this browser, if the service knows them itself.

    Raises:
        CsrfError: If the request changes something, and may have been made by another site.
        UnauthenticatedError: If it has credentials of another kind, which are not good.
        UnavailableError: If nobody can tell at the moment.
    """
    principal = await find_principal(connection)
    if principal is None or principal.transport != "session" or principal.issuer != SELF:
        return None
    return principal

"""The end of a sign-in: somebody comes back from their provider, and gets a session, or does not.

Nothing of what comes is believed, shown or logged before it is known that this browser began the
sign-in, and that it comes to its end for the first time.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.login.accounts import Identity, read_roles
from fastapi_baseline.auth.login.application import Login
from fastapi_baseline.auth.login.client import ProviderClient
from fastapi_baseline.auth.login.errors import (
    InvalidIdTokenError,
    InvalidUserinfoError,
    LoginRefusedError,
    ProviderRefusedError,
    name_error,
)
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.login.transactions import Transaction
from fastapi_baseline.auth.principals import Principal

_PARAMETERS = ("state", "code", "iss", "error")
_MAX_CODE_LENGTH = 4096


async def begin_session(login: Login, request: Request, response: Response) -> str:
    """Sign in whoever comes back; put the session into `response`, and return where they go.

    Raises:
        LoginRefusedError: If nobody is to be signed in.
        UnavailableError: If the provider or a store does not answer.
    """
    transaction, client = await _take_transaction(login, request)
    code = await _read_code(request, client)
    tokens, id_token = await _redeem(login, client, transaction, code=code)
    claims = await _read_claims(client, tokens, id_token)
    identity = Identity(
        provider=client.provider.name,
        issuer=id_token.issuer,
        subject=id_token.subject,
        roles=read_roles(claims, client.provider.roles_claim),
        claims=claims,
    )
    roles = await login.accounts.find_roles(identity, request)
    if roles is None:
        raise LoginRefusedError("account")
    principal = _make_principal(login, id_token, roles)
    session = await login.sessions.start(request, response, principal, has_just_proved=False)
    await _keep_tokens(login, session, client, tokens=tokens, id_token=id_token)
    await login.report("sign_in", subject=id_token.subject, provider=client.provider.name)
    return transaction.return_to


async def _take_transaction(login: Login, request: Request) -> tuple[Transaction, ProviderClient]:
    """Return the sign-in that comes to its end, once."""
    query = request.query_params
    if any(len(query.getlist(name)) > 1 for name in _PARAMETERS):
        # Somebody else may look at another one of them (RFC 6749, section 3.1).
        raise LoginRefusedError("duplicate_parameter")
    transaction = login.transactions.find(request, query.get("state"))
    is_first = await login.store.add_if_absent(
        f"used-state:{transaction.digest}", "", lifetime=login.transactions.lifetime
    )
    if not is_first:
        raise LoginRefusedError("used_state")
    client = login.find_client(transaction.provider)
    if client is None:
        # It is in the settings no more.
        raise LoginRefusedError("state")
    return transaction, client


async def _read_code(request: Request, client: ProviderClient) -> str:
    query = request.query_params
    metadata = await client.get_metadata()
    issuer = query.get("iss")
    if issuer != client.provider.issuer and (issuer is not None or metadata.names_issuer):
        # The answer of one provider must not be taken for that of another (RFC 9207).
        raise LoginRefusedError("issuer")
    error = query.get("error")
    if error is not None:
        raise LoginRefusedError("provider_error", detail=name_error(error))
    code = query.get("code")
    if not code or len(code) > _MAX_CODE_LENGTH or not code.isprintable():
        raise LoginRefusedError("code")
    return code


async def _redeem(
    login: Login, client: ProviderClient, transaction: Transaction, *, code: str
) -> tuple[ProviderTokens, IdToken]:
    max_age_s = transaction.max_age_s
    try:
        tokens = await client.fetch_tokens(
            code=code, verifier=transaction.verifier, redirect_uri=login.redirect_uri
        )
        id_token = await client.id_tokens.verify(
            tokens.id_token,
            nonce=transaction.nonce,
            access_token=tokens.access_token,
            max_age=None if max_age_s is None else timedelta(seconds=max_age_s),
        )
    except ProviderRefusedError as error:
        raise LoginRefusedError("token_request", detail=error.error) from error
    except InvalidIdTokenError as error:
        raise LoginRefusedError("id_token", detail=error.flaw) from error
    return tokens, id_token


async def _read_claims(
    client: ProviderClient, tokens: ProviderTokens, id_token: IdToken
) -> Mapping[str, Any]:
    if not client.provider.reads_userinfo:
        return id_token.claims
    try:
        more = await client.fetch_userinfo(tokens.access_token, subject=id_token.subject)
    except InvalidUserinfoError as error:
        raise LoginRefusedError("userinfo") from error
    # What is signed counts more.
    return {**more, **id_token.claims}


def _make_principal(login: Login, id_token: IdToken, roles: frozenset[str]) -> Principal:
    auth_time = id_token.auth_time
    return Principal(
        issuer=id_token.issuer,
        subject=id_token.subject,
        transport="session",
        roles=roles,
        # One that is yet to come would count as recent for longer.
        auth_time=None if auth_time is None else min(auth_time, login.clock.now()),
        acr=id_token.acr,
        amr=id_token.amr,
    )


async def _keep_tokens(
    login: Login,
    session: Principal,
    client: ProviderClient,
    *,
    tokens: ProviderTokens,
    id_token: IdToken,
) -> None:
    try:
        await login.provider_sessions.keep(
            session, provider=client.provider.name, tokens=tokens, id_token=id_token
        )
    except BaseException:
        # Its browser never hears of it, and its provider could not end it.
        await login.sessions.revoke(
            session.session_id or "", issuer=session.issuer, subject=session.subject
        )
        raise

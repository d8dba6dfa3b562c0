"""The routes of users: register, sign in, change and reset a password, and what goes with them.

    router.include_router(make_users_router(User))

Each answers the same for addresses that are known and unknown, and none is kept by caches. No route
sets the password of somebody else, not even for an administrator.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypedDict, Unpack

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from fastapi_baseline.access import public
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.step_up import require_recent_auth
from fastapi_baseline.auth.users import schemas
from fastapi_baseline.auth.users.administration_routes import make_administration_router
from fastapi_baseline.auth.users.application import Join, join_users, remember_join
from fastapi_baseline.auth.users.hashing import PasswordHasher
from fastapi_baseline.auth.users.letters import LetterWriter
from fastapi_baseline.auth.users.mail import MailSender
from fastapi_baseline.auth.users.repository import UserRepository
from fastapi_baseline.auth.users.second_factor_routes import make_second_factor_router
from fastapi_baseline.auth.users.self_service import CurrentSelfService, SignedInUser
from fastapi_baseline.auth.users.service import UserT
from fastapi_baseline.auth.users.sign_in import account_of
from fastapi_baseline.auth.users.views import (
    check_registration,
    read_user,
    refuse_columns,
    values_of,
)
from fastapi_baseline.rate_limiting import get_client_address

RECENT = timedelta(minutes=10)
"""How long ago a user may have signed in at the most to delete their own account."""


class Parts(TypedDict, Generic[UserT], total=False):
    """What a service may have of its own: how users are kept, letters sent, and passwords hashed."""

    repository: type[UserRepository[UserT]]
    mail: MailSender
    letters: LetterWriter
    hasher: PasswordHasher


async def forbid_storing(response: Response) -> None:
    """Keep what is answered out of caches."""
    response.headers["Cache-Control"] = "no-store"


async def _check_origin(request: Request, service: CurrentSelfService) -> None:
    await service.sign_in.check_origin(request)


async def _take_letter(request: Request, service: CurrentSelfService) -> None:
    await service.throttles.begin_mail(address=get_client_address(request))


_FROM_A_PAGE = Depends(_check_origin)
_A_LETTER = Depends(_take_letter)


def make_users_router(
    model: type[UserT],
    *,
    prefix: str = "/auth",
    tags: Sequence[str] = ("users",),
    read: type[schemas.UserRead] = schemas.UserRead,
    registration: type[schemas.Registration] = schemas.Registration,
    profile: type[BaseModel] | None = None,
    admin_role: str | None = "admin",
    **parts: Unpack[Parts[UserT]],
) -> APIRouter:
    """Return the routes of users, for an application with sessions and a database.

    When the application starts, `app.state.users` is its `UserService`. `read` and `registration`
    are subclasses of what there is, with columns of the service's own; `profile` has those that users
    may change themselves. Who has `admin_role` may
    invite, disable, enable and delete users, and give roles; with `None` nobody may. `parts` take
    the place of what the library has.

    Raises:
        ConfigurationError: If `registration` or `profile` asks for a column that only the service
            writes.
    """
    check_registration(model, registration)
    join: Join = partial(join_users, model=model, **parts)
    router = APIRouter(
        prefix=prefix,
        tags=list(tags),
        dependencies=[Depends(forbid_storing)],
        lifespan=_make_lifespan(join),
    )
    router.include_router(_make_registration_router(registration, join))
    router.include_router(_make_reset_router())
    router.include_router(_make_sign_in_router())
    router.include_router(_make_own_router(read))
    if profile is not None:
        refuse_columns(model, profile, known=set())
        router.include_router(_make_profile_router(profile, read))
    router.include_router(make_second_factor_router())
    if admin_role is not None:
        router.include_router(make_administration_router(read, admin_role=admin_role))
    return router


def _make_lifespan(join: Join) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        service = app.state.self_service = join(app)
        app.state.users = service.users
        async with service.users.services.outbox.lifespan(app):
            yield

    return lifespan


def _make_registration_router(registration: type[schemas.Registration], join: Join) -> APIRouter:
    """Return what makes somebody a user."""
    router = APIRouter()

    async def register(body: schemas.Registration, service: CurrentSelfService) -> schemas.Accepted:
        """Register; a letter says how to go on, also to who has the address already."""
        if await service.throttles.may_mail(account_of(body.email)):
            values = values_of(body, known=set(schemas.Registration.model_fields))
            await service.users.register(body.email, body.password.get_secret_value(), values)
        return schemas.Accepted()

    # FastAPI reads it from there; a variable is no type to checkers.
    register.__annotations__["body"] = registration
    remember_join(register, join)
    router.post(
        "/register", status_code=HTTPStatus.ACCEPTED, dependencies=[_FROM_A_PAGE, _A_LETTER]
    )(public(register))

    @router.post("/verify-email", dependencies=[_FROM_A_PAGE])
    @public
    async def verify_email(
        body: schemas.Link, *, request: Request, response: Response, service: CurrentSelfService
    ) -> schemas.Accepted:
        """Verify an address with the link that was sent to it."""
        user = await service.users.verify_email(body.token.get_secret_value())
        service.sign_in.remember_device(request, response, user)
        return schemas.Accepted()

    @router.post(
        "/verify-email/resend",
        status_code=HTTPStatus.ACCEPTED,
        dependencies=[_FROM_A_PAGE, _A_LETTER],
    )
    @public
    async def resend_verification(
        body: schemas.EmailAddress, service: CurrentSelfService
    ) -> schemas.Accepted:
        """Send the link once more, if the address is a user's and not verified."""
        if await service.throttles.may_mail(account_of(body.email)):
            await service.users.resend_verification(body.email)
        return schemas.Accepted()

    return router


def _make_reset_router() -> APIRouter:
    """Return what helps who has forgotten a password."""
    router = APIRouter()

    @router.post(
        "/password/forgot", status_code=HTTPStatus.ACCEPTED, dependencies=[_FROM_A_PAGE, _A_LETTER]
    )
    @public
    async def forgot_password(
        body: schemas.EmailAddress, service: CurrentSelfService
    ) -> schemas.Accepted:
        """Send a link to choose a new password, if the address is a user's."""
        if await service.throttles.may_mail(account_of(body.email)):
            await service.users.request_password_reset(body.email)
        return schemas.Accepted()

    @router.post("/password/reset", dependencies=[_FROM_A_PAGE])
    @public
    async def reset_password(
        body: schemas.PasswordReset,
        *,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> schemas.Accepted:
        """Choose a new password with the link of a letter; nobody is signed in by that."""
        user = await service.users.reset_password(
            body.token.get_secret_value(), body.password.get_secret_value()
        )
        service.sign_in.remember_device(request, response, user)
        return schemas.Accepted()

    return router


def _make_sign_in_router() -> APIRouter:
    router = APIRouter()

    @router.post("/sign-in")
    @public
    async def sign_in(
        body: schemas.Credentials,
        *,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> schemas.SignedIn:
        """Sign in with a password; the answer says whether a code is needed, too."""
        outcome = await service.sign_in.with_password(
            request,
            response,
            email=body.email,
            password=body.password.get_secret_value(),
            code=body.code.get_secret_value() if body.code is not None else None,
        )
        return schemas.SignedIn(status=outcome.status)

    @router.post("/sign-in/second-factor")
    @public
    async def sign_in_with_code(
        body: schemas.OneCode,
        *,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> schemas.SignedIn:
        """Finish signing in with a code of the second factor, or a recovery code."""
        outcome = await service.sign_in.with_code(
            request, response, code=body.code.get_secret_value()
        )
        return schemas.SignedIn(status=outcome.status)

    return router


def _make_own_router(read: type[schemas.UserRead]) -> APIRouter:
    """Return what users do with their own account."""
    router = APIRouter()

    @router.get("/me", response_model=read)
    async def show_me(principal: SignedInUser, service: CurrentSelfService) -> schemas.UserRead:
        """Return what is known of the user who is signed in."""
        return read_user(await service.users.get(principal.subject), read)

    @router.delete("/me", status_code=HTTPStatus.NO_CONTENT)
    async def delete_me(
        principal: SignedInUser,
        *,
        recent: Annotated[Principal, Depends(require_recent_auth(RECENT))],
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> None:
        """Delete the account of the user who is signed in, and end all that it lets in."""
        del recent
        await service.users.delete(principal.subject)
        await service.sessions.end(request, response)

    @router.post("/password", status_code=HTTPStatus.NO_CONTENT)
    async def change_password(
        body: schemas.PasswordChange,
        *,
        principal: SignedInUser,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> None:
        """Change the password; all other sessions end, and this one gets another cookie."""
        await service.change_password(
            principal,
            current=body.current_password.get_secret_value(),
            new=body.new_password.get_secret_value(),
        )
        await service.sessions.rotate(request, response)

    return router


def _make_profile_router(profile: type[BaseModel], read: type[schemas.UserRead]) -> APIRouter:
    router = APIRouter()

    async def change_me(
        body: BaseModel, principal: SignedInUser, service: CurrentSelfService
    ) -> schemas.UserRead:
        """Change what is said; everything else stays as it is."""
        values = values_of(body, known=set())
        return read_user(await service.change_columns(principal, values), read)

    # As above.
    change_me.__annotations__["body"] = profile
    router.patch("/me", response_model=read)(change_me)
    return router

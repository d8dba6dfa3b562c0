"""The routes of second factors."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from fastapi_baseline.auth.users import schemas
from fastapi_baseline.auth.users.self_service import CurrentSelfService, SignedInUser
from fastapi_baseline.auth.users.sign_in import with_second_factor, without_second_factor


def make_second_factor_router() -> APIRouter:
    """Return the routes by which users get a second factor, and give it up."""
    router = APIRouter()

    @router.get("/second-factor")
    async def show_second_factor(
        principal: SignedInUser, service: CurrentSelfService
    ) -> schemas.SecondFactorStatus:
        """Return whether there is a second factor, and how many recovery codes are left."""
        return schemas.SecondFactorStatus(
            enabled=await service.second_factors.is_enabled(principal.subject),
            recovery_codes_left=await service.second_factors.count_recovery_codes(
                principal.subject
            ),
        )

    @router.post("/second-factor")
    async def start_second_factor(
        body: schemas.Confirmation, principal: SignedInUser, service: CurrentSelfService
    ) -> schemas.SecondFactorStart:
        """Get a secret for an app; it counts once a code of it was confirmed."""
        user = await service.confirm(principal, password=body.password.get_secret_value())
        enrolment = await service.second_factors.start(principal.subject, account=user.email)
        return schemas.SecondFactorStart(secret=enrolment.secret, uri=enrolment.uri)

    @router.post("/second-factor/confirm")
    async def confirm_second_factor(
        body: schemas.OneCode,
        *,
        principal: SignedInUser,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> schemas.RecoveryCodes:
        """Ask for a second factor from now on; all other sessions end."""
        codes = await service.enable_second_factor(principal, body.code.get_secret_value())
        await service.sessions.rotate(request, response, with_second_factor(principal))
        return schemas.RecoveryCodes(recovery_codes=list(codes))

    _add_changes(router)
    return router


def _add_changes(router: APIRouter) -> None:
    """Add what takes both factors."""

    @router.post("/second-factor/disable", status_code=HTTPStatus.NO_CONTENT)
    async def disable_second_factor(
        body: schemas.FullConfirmation,
        *,
        principal: SignedInUser,
        request: Request,
        response: Response,
        service: CurrentSelfService,
    ) -> None:
        """Ask for no second factor any more; all other sessions end."""
        await service.disable_second_factor(
            principal,
            password=body.password.get_secret_value(),
            code=body.code.get_secret_value(),
        )
        await service.sessions.rotate(request, response, without_second_factor(principal))

    @router.post("/recovery-codes")
    async def renew_recovery_codes(
        body: schemas.FullConfirmation, principal: SignedInUser, service: CurrentSelfService
    ) -> schemas.RecoveryCodes:
        """Get new recovery codes; the old ones are worth nothing any more."""
        await service.confirm(
            principal,
            password=body.password.get_secret_value(),
            code=body.code.get_secret_value(),
        )
        codes = await service.second_factors.renew_recovery_codes(principal.subject)
        return schemas.RecoveryCodes(recovery_codes=list(codes))

"""What administrators do with users: everything but choosing their passwords.

An administrator who could set a password could sign in as its user (OWASP ASVS 5, 6.4.6). An
invitation lets them choose it themselves, and so does the letter that anybody may ask for.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from fastapi_baseline.auth.guards import RequireRoles
from fastapi_baseline.auth.users import schemas
from fastapi_baseline.auth.users.self_service import CurrentSelfService
from fastapi_baseline.auth.users.views import read_user

UserId = Annotated[str, Path(min_length=1, max_length=64)]


def make_administration_router(read: type[schemas.UserRead], *, admin_role: str) -> APIRouter:
    """Return the routes of those who have `admin_role`."""
    router = APIRouter(prefix="/users", dependencies=[Depends(RequireRoles(all=[admin_role]))])

    @router.post("", response_model=read, status_code=HTTPStatus.CREATED)
    async def invite_user(
        body: schemas.Invitation, service: CurrentSelfService
    ) -> schemas.UserRead:
        """Add a user, who is sent a link to choose a password."""
        return read_user(await service.users.invite(body.email, roles=body.roles), read)

    @router.get("/{user_id}", response_model=read)
    async def show_user(user_id: UserId, service: CurrentSelfService) -> schemas.UserRead:
        """Return what is known of a user."""
        return read_user(await service.users.get(user_id), read)

    @router.post("/{user_id}/disable", response_model=read)
    async def disable_user(user_id: UserId, service: CurrentSelfService) -> schemas.UserRead:
        """Let a user not sign in any more, and end all of their sessions."""
        return read_user(await service.users.disable(user_id), read)

    @router.post("/{user_id}/enable", response_model=read)
    async def enable_user(user_id: UserId, service: CurrentSelfService) -> schemas.UserRead:
        """Let a user sign in again."""
        return read_user(await service.users.enable(user_id), read)

    @router.put("/{user_id}/roles", response_model=read)
    async def set_roles(
        user_id: UserId, body: schemas.RoleList, service: CurrentSelfService
    ) -> schemas.UserRead:
        """Give a user these roles and no others."""
        return read_user(await service.users.set_roles(user_id, body.roles), read)

    @router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT)
    async def delete_user(user_id: UserId, service: CurrentSelfService) -> None:
        """Delete a user, and end all that lets them in."""
        await service.users.delete(user_id)

    return router

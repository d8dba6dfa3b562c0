"""Who is asking, and what they may do.

    @router.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])
    async def list_orders(principal: CurrentPrincipal) -> list[Order]: ...

`tokens`, `api_keys` and `sessions` are ways to say who one is; `users` are those whom the service
knows itself. None of them is imported here.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline.access import anybody, deciding, public

if TYPE_CHECKING:
    from fastapi_baseline.auth.authentication import (
        Authentication,
        Authenticator,
        HasSecuritySchemes,
    )
    from fastapi_baseline.auth.dependencies import (
        CurrentPrincipal,
        OptionalPrincipal,
        find_principal,
        get_principal,
    )
    from fastapi_baseline.auth.errors import (
        AmbiguousCredentialsError,
        CredentialsMissingError,
        InsufficientAuthenticationError,
        InsufficientRoleError,
        InsufficientScopeError,
    )
    from fastapi_baseline.auth.guards import RequireRoles, RequireScopes
    from fastapi_baseline.auth.permissions import Permission, has_role, has_scope
    from fastapi_baseline.auth.principals import SELF, Principal, Transport
    from fastapi_baseline.auth.route_decisions import find_undecided
    from fastapi_baseline.auth.row_permissions import (
        RowPermission,
        column_in,
        column_is,
        policy_for,
        rows_of,
    )
    from fastapi_baseline.auth.security_events import (
        LogSecurityEvents,
        SecurityEvent,
        SecurityEvents,
    )
    from fastapi_baseline.auth.step_up import RequireRecentAuth, require_recent_auth

__all__ = [
    "SELF",
    "AmbiguousCredentialsError",
    "Authentication",
    "Authenticator",
    "CredentialsMissingError",
    "CurrentPrincipal",
    "HasSecuritySchemes",
    "InsufficientAuthenticationError",
    "InsufficientRoleError",
    "InsufficientScopeError",
    "LogSecurityEvents",
    "OptionalPrincipal",
    "Permission",
    "Principal",
    "RequireRecentAuth",
    "RequireRoles",
    "RequireScopes",
    "RowPermission",
    "SecurityEvent",
    "SecurityEvents",
    "Transport",
    "anybody",
    "column_in",
    "column_is",
    "deciding",
    "find_principal",
    "find_undecided",
    "get_principal",
    "has_role",
    "has_scope",
    "policy_for",
    "public",
    "require_recent_auth",
    "rows_of",
]

_HOMES = {
    "SELF": "principals",
    "AmbiguousCredentialsError": "errors",
    "Authentication": "authentication",
    "Authenticator": "authentication",
    "CredentialsMissingError": "errors",
    "CurrentPrincipal": "dependencies",
    "HasSecuritySchemes": "authentication",
    "InsufficientAuthenticationError": "errors",
    "InsufficientRoleError": "errors",
    "InsufficientScopeError": "errors",
    "LogSecurityEvents": "security_events",
    "OptionalPrincipal": "dependencies",
    "Permission": "permissions",
    "Principal": "principals",
    "RequireRecentAuth": "step_up",
    "RequireRoles": "guards",
    "RequireScopes": "guards",
    "RowPermission": "row_permissions",
    "SecurityEvent": "security_events",
    "SecurityEvents": "security_events",
    "Transport": "principals",
    "column_in": "row_permissions",
    "column_is": "row_permissions",
    "find_principal": "dependencies",
    "find_undecided": "route_decisions",
    "get_principal": "dependencies",
    "has_role": "permissions",
    "has_scope": "permissions",
    "policy_for": "row_permissions",
    "require_recent_auth": "step_up",
    "rows_of": "row_permissions",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)

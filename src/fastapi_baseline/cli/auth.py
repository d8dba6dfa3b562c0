"""`baseline auth token`: tokens for development."""

from fastapi_baseline.auth.tokens.development import DEVELOPMENT, DevelopmentIssuer
from fastapi_baseline.cli.console import print_lines, without_log
from fastapi_baseline.cli.grants import Grant
from fastapi_baseline.cli.run import Target, get_settings
from fastapi_baseline.errors import ConfigurationError


def print_token(target: Target, grant: Grant) -> None:
    """Print an access token that the service accepts while it runs, in development.

    Raises:
        ConfigurationError: If it trusts another issuer, or does not run.
    """
    with without_log():
        settings = get_settings(target)
        if settings.auth.issuer != DEVELOPMENT:
            raise ConfigurationError(
                f"{target.app!r} does not trust the issuer for development: AUTH__ISSUER is not "
                f"{DEVELOPMENT!r}, so its issuer gives out its tokens."
            )
        more = {} if grant.lifetime is None else {"lifetime": grant.lifetime}
        token = DevelopmentIssuer(settings.service_name).sign(
            subject=grant.subject,
            audience=settings.auth.audience,
            scopes=grant.scopes,
            roles=grant.roles,
            **more,
        )
    print_lines([token])

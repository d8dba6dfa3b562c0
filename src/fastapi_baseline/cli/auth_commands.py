"""The commands about who may use a service; each imports what it does when it is called."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.issuing_commands import client, keys
from fastapi_baseline.cli.options import SETTINGS, Application, Json, Roles, Scopes

auth = typer.Typer(
    help="Look after users, clients and keys, and make tokens for development, in this folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
user = typer.Typer(
    help="Add and disable users of the service in this folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
api_key = typer.Typer(
    help="Make, show and end keys of programs; they are kept in the database of the service.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
auth.add_typer(user, name="user")
auth.add_typer(api_key, name="api-key")
auth.add_typer(client, name="client")
auth.add_typer(keys, name="keys")

UserName = Annotated[str, typer.Argument(metavar="EMAIL_OR_ID", help="Who.")]


@auth.command()
def token(
    *,
    subject: Annotated[
        str, typer.Option("--subject", "-s", metavar="SUBJECT", help="Who it is for.")
    ] = "developer",
    scopes: Scopes = None,
    roles: Roles = None,
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=24 * 60, help="How long it lasts.")
    ] = 60,
    application: Application = None,
) -> None:
    """Print an access token that the service accepts while it runs, in development."""
    from datetime import timedelta

    from fastapi_baseline.cli.auth import print_token
    from fastapi_baseline.cli.grants import Grant
    from fastapi_baseline.cli.run import find_target

    grant = Grant(
        subject=subject,
        scopes=scopes or (),
        roles=roles or (),
        lifetime=timedelta(minutes=minutes),
    )
    print_token(find_target(application, start=Path.cwd()), grant)


@user.command()
def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Where the link is sent.")],
    *,
    roles: Roles = None,
    application: Application = None,
) -> None:
    """Add a user, who gets a link to choose a password; the first may invite the others."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.users import invite_user

    invite_user(find_target(application, start=Path.cwd()), email, roles=roles or ())


@user.command()
def add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="With what they sign in.")],
    *,
    roles: Roles = None,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Add a user, and show the link with which they choose a password: nothing is sent."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.users import add_user

    target = find_target(application, start=Path.cwd())
    add_user(target, email, roles=roles or (), is_json=is_json)


@user.command()
def disable(who: UserName, *, is_json: Json = False, application: Application = None) -> None:
    """Let a user not sign in any more; their sessions, API keys and grants end at once."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.users import disable_user

    disable_user(find_target(application, start=Path.cwd()), who, is_json=is_json)


@api_key.command()
def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    *,
    owner: Annotated[
        str, typer.Option("--owner", metavar="SUBJECT", help="Who its requests are of.")
    ],
    scopes: Scopes = None,
    roles: Roles = None,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, show_default=False, help="How long it lasts; else for ever."),
    ] = None,
    application: Application = None,
) -> None:
    """Make a key, and show it this once."""
    from datetime import timedelta

    from fastapi_baseline.cli.api_keys import issue_api_key
    from fastapi_baseline.cli.grants import Grant
    from fastapi_baseline.cli.run import find_target

    lifetime = None if days is None else timedelta(days=days)
    grant = Grant(subject=owner, scopes=scopes or (), roles=roles or (), lifetime=lifetime)
    issue_api_key(find_target(application, start=Path.cwd()), name, grant)


@api_key.command("list")
def list_keys(
    *,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="SUBJECT", help="Those of one owner.")
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Also those that are over or revoked.")
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Show keys, without what proves them."""
    from fastapi_baseline.cli.api_keys import list_api_keys
    from fastapi_baseline.cli.run import find_target

    target = find_target(application, start=Path.cwd())
    list_api_keys(target, subject=owner, is_all=is_all, is_json=is_json)


@api_key.command()
def revoke(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The second part of the key.")],
    *,
    application: Application = None,
) -> None:
    """End a key."""
    from fastapi_baseline.cli.api_keys import revoke_api_key
    from fastapi_baseline.cli.run import find_target

    revoke_api_key(find_target(application, start=Path.cwd()), identifier)

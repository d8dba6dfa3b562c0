"""The commands about the tokens that a service issues: its clients, and the keys that sign them."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.options import SETTINGS, Application, Json, Scopes

client = typer.Typer(
    help="Add, show and remove the programs that may ask the service in this folder for tokens.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
keys = typer.Typer(
    help="Show and change the keys that the service in this folder signs its tokens with.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="As `list` shows it.")]


Redirects = Annotated[
    list[str] | None,
    typer.Option(
        "--redirect-uri",
        metavar="URI",
        help="Where its users come back to, to the letter; repeatable. Without one, the program asks "
        "for itself only.",
    ),
]
Departures = Annotated[
    list[str] | None,
    typer.Option(
        "--post-logout-uri", metavar="URI", help="Where they come back to from signing out."
    ),
]
Audiences = Annotated[
    list[str] | None,
    typer.Option(
        "--audience",
        metavar="URI",
        help="Whom its tokens are for, or which API it is; else AUTH__SERVER__AUDIENCE.",
    ),
]
OwnKeys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE",
        help="It has keys instead of a secret (private_key_jwt); their public JWK set.",
    ),
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What people read when they are asked about it.")
]
OwnId = Annotated[
    str | None,
    typer.Option("--id", metavar="CLIENT_ID", show_default=False, help="Else a random one."),
]
Public = Annotated[
    bool, typer.Option("--public", help="It can keep no secret: a page in a browser, an app.")
]
FirstParty = Annotated[
    bool, typer.Option("--first-party", help="It is your own, so people are not asked.")
]
Introspects = Annotated[
    bool, typer.Option("--introspects", help="It is an API that asks about tokens for it.")
]


@client.command()
def add(
    name: Name,
    *,
    client_id: OwnId = None,
    is_public: Public = False,
    jwks: OwnKeys = None,
    redirect_uris: Redirects = None,
    sign_out_uris: Departures = None,
    scopes: Scopes = None,
    audiences: Audiences = None,
    is_first_party: FirstParty = False,
    may_introspect: Introspects = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Add a program, and show its secret this once.

    A page in a browser: add "Shop" --public --redirect-uri https://shop.example.com/callback.
    A service: add exporter --scope orders:read. Scopes are those of AUTH__SERVER__SCOPES, and openid,
    profile, email (which users give by default) and offline_access (for refresh tokens).
    """
    from fastapi_baseline.cli.clients import NewClient, add_client
    from fastapi_baseline.cli.run import find_target

    if is_public and jwks is not None:
        raise typer.BadParameter("Use either --public or --keys.")
    new = NewClient(
        name=name,
        client_id=client_id,
        is_public=is_public,
        jwks=jwks,
        redirect_uris=redirect_uris or (),
        post_logout_redirect_uris=sign_out_uris or (),
        scopes=scopes or (),
        audiences=audiences or (),
        is_first_party=is_first_party,
        may_introspect=may_introspect,
    )
    add_client(find_target(application, start=Path.cwd()), new, is_json=is_json)


@client.command("list")
def list_all(*, is_json: Json = False, application: Application = None) -> None:
    """Show all programs, without what proves who they are."""
    from fastapi_baseline.cli.clients import list_clients
    from fastapi_baseline.cli.run import find_target

    list_clients(find_target(application, start=Path.cwd()), is_json=is_json)


@client.command()
def rotate_secret(
    client_id: ClientId,
    *,
    is_immediate: Annotated[
        bool, typer.Option("--now", help="The old one is worth nothing from now on.")
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Give a program a new secret, and show it this once; the old one is good for a day longer."""
    from fastapi_baseline.cli.clients import rotate_client_secret
    from fastapi_baseline.cli.run import find_target

    target = find_target(application, start=Path.cwd())
    rotate_client_secret(target, client_id, is_immediate=is_immediate, is_json=is_json)


@client.command()
def remove(client_id: ClientId, *, is_json: Json = False, application: Application = None) -> None:
    """Remove a program with all that it was granted."""
    from fastapi_baseline.cli.clients import remove_client
    from fastapi_baseline.cli.run import find_target

    remove_client(find_target(application, start=Path.cwd()), client_id, is_json=is_json)


@keys.command("list")
def list_signing_keys(*, is_json: Json = False, application: Application = None) -> None:
    """Show the keys that are published: next, active, and retired."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.signing_keys import list_keys

    list_keys(find_target(application, start=Path.cwd()), is_json=is_json)


@keys.command()
def rotate(
    *,
    is_immediate: Annotated[
        bool,
        typer.Option("--now", help="It signs at once: who has not fetched it yet refuses tokens."),
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Publish a new key, which signs after AUTH__SERVER__KEY_NOTICE."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.signing_keys import rotate_keys

    target = find_target(application, start=Path.cwd())
    rotate_keys(target, is_immediate=is_immediate, is_json=is_json)


# The name of a key may begin with a dash, and its letters are no options, nor is the one for help.
@keys.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KID", help="As `list` shows it.")],
    *,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Believe nothing any more that a key has signed, in an emergency."""
    from fastapi_baseline.cli.run import find_target
    from fastapi_baseline.cli.signing_keys import revoke_key

    revoke_key(find_target(application, start=Path.cwd()), kid, is_json=is_json)

"""Options that several commands have."""

from typing import Annotated

import typer

SETTINGS = {"help_option_names": ["-h", "--help"]}
"""How all commands are set up."""

Application = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:NAME",
        show_default=False,
        help="The application; by default the service in this folder.",
    ),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="What it is good for; repeatable."),
]
Roles = Annotated[
    list[str] | None, typer.Option("--role", metavar="ROLE", help="A role; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

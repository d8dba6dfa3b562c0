"""The `baseline` command: makes a service, checks, runs and migrates it, and purges its cache.

It exits with 0 when all is well, 1 when something is wrong, 2 when it was called wrongly, and 130
when it was interrupted. What a user can put right is said in one line, without a traceback. Nothing
that a command does not need is imported, so that `baseline --help` is quick.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import BaselineError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, by default that of the process, and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with optional("typer", extra="cli"):
            from fastapi_baseline.cli.commands import app  # noqa: PLC0415 -- may not be installed
        app(list(arguments), prog_name="baseline")
    except BaselineError as error:
        if "--debug" in arguments:
            traceback.print_exception(error)
        _report(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(0)


def _report(error: BaselineError) -> None:
    message = " ".join(error.message.split())
    try:
        from fastapi_baseline.cli.console import print_error  # noqa: PLC0415 -- likewise
    except ImportError:
        # The extra that would bring the colours may be what is missing.
        sys.stderr.write(f"Error: {message}\n")
    else:
        print_error(message)

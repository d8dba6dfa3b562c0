"""What the command says: in colour on a terminal, plainly anywhere else and with `NO_COLOR`."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from fastapi_baseline._extras import optional

with optional("rich", extra="cli"):
    from rich.console import Console
    from rich.text import Text


def print_error(message: str) -> None:
    """Print one line on standard error."""
    _print(Text.assemble(("Error: ", "bold red"), message), is_error=True)


def print_done(message: str) -> None:
    """Print one line on standard output that says what was achieved."""
    mark = "✓" if (Console().encoding or "").lower().startswith("utf") else "OK"
    _print(Text.assemble((f"{mark} ", "bold green"), message))


def print_notice(message: str) -> None:
    """Print one line on standard error, where it mixes with no output."""
    _print(Text(message, style="bold"), is_error=True)


def print_lines(lines: Sequence[str]) -> None:
    """Print what was asked for on standard output."""
    for line in lines:
        _print(Text(line))


def print_steps(steps: Sequence[tuple[str, str]]) -> None:
    """Print commands to copy, each with what it is for."""
    width = max(len(command) for command, _ in steps)
    for command, purpose in steps:
        shown = f"  {purpose}" if purpose else ""
        padded = command.ljust(width) if purpose else command
        _print(Text.assemble("  ", (padded, "cyan"), (shown, "dim")))


@contextmanager
def without_log() -> Generator[None]:
    """Keep the log of the application off standard output, which is for what was asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _print(text: Text, *, is_error: bool = False) -> None:
    # Lines are not folded at the width of the terminal: they may be paths, or be read by a program.
    Console(stderr=is_error, highlight=False, soft_wrap=True).print(text)

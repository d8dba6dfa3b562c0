"""Calls copier for services in some folders: `python -m fastapi_baseline.releases.copying`.

A process of its own, since libraries of copier take the environment that there is when they are
imported, and keep it. What to do is JSON on standard input; an error is its last line on standard
error.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import run
from typing import Any

from fastapi_baseline.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Folders to update, to a tag of their template, with other answers to some questions."""

    folders: Sequence[str]
    tag: str
    answers: Mapping[str, Any]


def call_copier(task: Task, *, variables: Mapping[str, str]) -> None:
    """Update the services in some folders, one after the other, in this environment.

    Raises:
        ConfigurationError: If copier refuses; the message is what it says.
    """
    result = run(  # noqa: S603 -- a list, and no shell
        # Without the folder that the command was called in, whose files may have any name.
        [sys.executable, "-P", "-m", __name__],
        env=variables,
        input=json.dumps(asdict(task)),
        capture_output=True,
        check=False,
        text=True,
    )
    if result.returncode:
        # What git has said to copier is drawn in a frame.
        lines = [line.strip(" |") for line in result.stderr.splitlines()]
        said = next(filter(None, reversed(lines)), "it does not say why")
        raise ConfigurationError(f"The template cannot be applied, so nothing was changed: {said}")


def main() -> None:
    """Do what standard input says."""
    import copier  # noqa: PLC0415 -- of the extra

    task = Task(**json.load(sys.stdin))
    for folder in task.folders:
        copier.run_update(
            Path(folder),
            dict(task.answers),
            vcs_ref=task.tag,
            defaults=True,
            overwrite=True,
            quiet=True,
        )


if __name__ == "__main__":
    main()

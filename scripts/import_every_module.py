"""Import every module of the installed library, each in a process that has imported none before.

`bare`: no extra is installed. A module works without, or fails with a `MissingExtraError` that
names an extra. `all`: every extra is installed, and every module works.
"""

import importlib
import importlib.util
import multiprocessing
import re
import sys
import traceback
import warnings
from importlib.metadata import metadata
from pathlib import Path

PACKAGE = "fastapi_baseline"
# What a service without any extra must be able to do.
NEEDED = (
    "",
    ".app",
    ".clock",
    ".context",
    ".discovery",
    ".errors",
    ".health",
    ".ids",
    ".lifecycle",
    ".middleware",
    ".middleware.stack",
    ".observability",
    ".problems",
    ".settings",
)
# Modules behind a door that has asked for the extra already: the command names it (`cli:main`),
# and pytest is what loads its plugin.
BEHIND_A_DOOR = re.compile(rf"{PACKAGE}\.(cli\..+|testing\.plugin)")
# What others have written takes most of the time, so it is imported before the processes part.
_ALWAYS_THERE = ("fastapi", "opentelemetry.sdk.metrics", "prometheus_client", "pydantic_settings")
_OF_EXTRAS = (
    *(
        "alembic.command",
        "authlib.oauth2.rfc6749",
        "fastapi_cache",
        "httpx2",
        "jinja2",
        "joserfc.jwt",
    ),
    *("pytest", "redis.asyncio", "slowapi", "sqlalchemy.ext.asyncio", "typer", "uvicorn"),
)


def main(mode: str) -> int:
    """Return 0 if every module behaves as `mode` says, else 1, and print those that do not."""
    # To find it imports nothing of it.
    found = importlib.util.find_spec(PACKAGE)
    names = sorted(_modules(Path(str(found.origin if found else "")).parent))
    for library in (*_ALWAYS_THERE, *(_OF_EXTRAS if mode == "all" else ())):
        importlib.import_module(library)
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        outcomes = dict(zip(names, pool.map(_outcome_of_import, names, chunksize=1), strict=True))
    faults = [
        f"{name}: {what}" for name, what in outcomes.items() if not _is_right(name, what, mode)
    ]
    print(*faults, sep="\n")
    worked = sum(not what for what in outcomes.values())
    print(f"{mode}: of {len(names)} modules {worked} work, {len(faults)} fail as they should not")
    return 1 if faults or not names else 0


def _modules(folder: Path) -> set[str]:
    """Return the modules that lie there, but for the one that runs the command."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        if "_template" not in parts and parts != ("__main__",):
            found.add(".".join((PACKAGE, *(part for part in parts if part != "__init__"))))
    return found


def _outcome_of_import(name: str) -> str:
    """Return nothing if the module can be imported, else the error."""
    warnings.simplefilter("error")
    try:
        importlib.import_module(name)
    except ImportError as error:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 -- whatever it is, it is told
        return traceback.format_exc()[-2000:]
    return ""


def _is_right(name: str, outcome: str, mode: str) -> bool:
    if not outcome:
        return True
    if mode == "all" or name.removeprefix(PACKAGE) in NEEDED:
        return False
    if BEHIND_A_DOOR.fullmatch(name):
        return outcome.startswith(("MissingExtraError: ", "ModuleNotFoundError: "))
    named = re.search(r"pip install 'fastapi-baseline\[([\w,-]+)\]'", outcome)
    extras = metadata("fastapi-baseline").get_all("Provides-Extra") or []
    return outcome.startswith("MissingExtraError: ") and named is not None and named[1] in extras


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

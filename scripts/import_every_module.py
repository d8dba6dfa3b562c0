"""Import every module of the installed library, each in a fresh interpreter.

`bare`: no extra is installed. A module works without, or fails with a `MissingExtraError` that
names an extra. `all`: every extra is installed, and every module works.
"""

import importlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
_PROGRAM = """
import importlib, sys
try:
    importlib.import_module(sys.argv[1])
except ImportError as error:
    print(type(error).__name__, error, sep=": ")
"""


def main(mode: str) -> int:
    """Return 0 if every module behaves as `mode` says, else 1, and print those that do not."""
    package = importlib.import_module(PACKAGE)
    names = sorted(_modules(Path(str(package.__file__)).parent))
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = dict(zip(names, pool.map(_outcome_of_import, names), strict=True))
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
    result = subprocess.run(
        (sys.executable, "-I", "-W", "error", "-c", _PROGRAM, name),
        capture_output=True,
        check=False,
        text=True,
    )
    return (result.stdout or result.stderr[-2000:]).strip()


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

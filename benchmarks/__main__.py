"""Run the benchmarks that are named, or all of them: `python -m benchmarks [NAME ...] [OPTION ...]`.

Options are for the benchmark that is named: `python -m benchmarks data --quick`.
"""

import importlib
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Run each named benchmark; return 0 if every one met its goal, 2 for an unknown name."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    options = [argument for argument in arguments if argument.startswith("-")]
    if options and len(names) != 1:
        print("Name the one benchmark that the options are for.")
        return 2
    known = _benchmarks()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"No such benchmark: {', '.join(unknown)}. There are: {', '.join(known)}")
        return 2
    failed: list[str] = []
    for name in names or known:
        print(f"\n== {name}", flush=True)
        sys.argv = [name, *options]
        if known[name]() != 0:
            failed.append(name)
    if failed:
        print(f"\nGoals not met: {', '.join(failed)}")
    return 1 if failed else 0


def _benchmarks() -> dict[str, Callable[[], int]]:
    """Return the benchmarks of this folder, and those that the examples bring."""
    found: dict[str, Callable[[], int]] = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        found[path.stem] = importlib.import_module(f"benchmarks.{path.stem}").main
    for path in sorted(ROOT.glob("examples/*/bench.py")):
        found[path.parent.name] = _script(path)
    return found


def _script(path: Path) -> Callable[[], int]:
    def run() -> int:
        arguments = sys.argv
        sys.argv = [str(path)]
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as exit_:
            return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        finally:
            sys.argv = arguments
        return 0

    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

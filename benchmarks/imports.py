"""What `from fastapi_baseline import create_app` adds to the imports that a service has anyway.

Each round starts one fresh interpreter for either side, in an order that alternates, so that both
see the same machine. The difference is taken within a round; the median over the rounds is judged.
"""

import platform
import statistics
import subprocess
import sys
from importlib.metadata import version

ROUNDS = 15
GOAL_MILLISECONDS = 150.0

_BEFORE = "import fastapi, pydantic_settings, opentelemetry.sdk.trace, opentelemetry.sdk.metrics"
_SIDES = {
    "framework": _BEFORE,
    "with create_app": f"{_BEFORE}\nfrom fastapi_baseline import create_app",
}
_PROGRAM = """
import time
started = time.perf_counter_ns()
{statements}
print(time.perf_counter_ns() - started)
"""
_PACKAGES = ("fastapi", "pydantic", "pydantic-settings", "opentelemetry-sdk", "fastapi-baseline")


def main() -> int:
    """Measure, print a table, and return 0 if the goal is met, else 1."""
    print(
        f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in _PACKAGES)
    )
    for statements in _SIDES.values():  # Compiles what has not been compiled yet.
        _milliseconds(statements)
    times: dict[str, list[float]] = {name: [] for name in _SIDES}
    for number in range(ROUNDS):
        names = list(_SIDES) if number % 2 == 0 else list(reversed(_SIDES))
        for name in names:
            times[name].append(_milliseconds(_SIDES[name]))
    without, with_ours = times.values()
    added = statistics.median(b - a for a, b in zip(without, with_ours, strict=True))
    for name, values in times.items():
        print(f"{name:<16} {statistics.median(values):8.1f} ms   (fastest {min(values):.1f})")
    ratio = statistics.median(b / a for a, b in zip(without, with_ours, strict=True))
    met = added <= GOAL_MILLISECONDS
    print(f"{'added':<16} {added:8.1f} ms   ratio {ratio:.2f}, {ROUNDS} rounds")
    print(f"goal: at most {GOAL_MILLISECONDS:.0f} ms added: {'met' if met else 'NOT MET'}")
    return 0 if met else 1


def _milliseconds(statements: str) -> float:
    program = _PROGRAM.format(statements=statements)
    output = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, check=True, text=True
    ).stdout
    return int(output) / 1e6


if __name__ == "__main__":
    sys.exit(main())

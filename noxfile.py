"""The sessions: what `make`, `.ci/run`, pre-commit and the workflow all call."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.1"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["tests", "lint", "types", "imports"]

ROOT = Path(__file__).resolve().parent
LIBRARY = ("-e", ".[all,testing]")
# What the template makes for who answers nothing is there to be read; `template` checks it.
RENDERED = ROOT / "examples/default-service"
EXAMPLES = sorted(
    path.parent for path in ROOT.glob("examples/*/pyproject.toml") if path.parent != RENDERED
)
# The Pythons that are supported and that `matrix` looks for, oldest first.
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
# Tests that other sessions run: they need a wheel of the tree, or Node, or a browser, and time.
ELSEWHERE = (
    "--ignore=tests/browser",
    "--ignore=tests/docs",
    "--ignore=tests/peers",
    "--ignore=tests/template",
    "--ignore=tests/updates",
)
# The tests that have to cover the code by themselves. The others run the same code against servers and
# in processes, and would take half as long again if they were measured, too.
MEASURED = (
    "tests/unit",
    "tests/api",
    "tests/meta",
    "tests/integration/persistence",
    "tests/integration/rate_limiting",
)
# What takes too long for every day.
THOROUGHLY = ("--hypothesis-profile=thorough", "--fuzz-requests=20000")
# nox points uv to the environment of the session; services that a session makes have their own.
OWN_ENVIRONMENTS = {"UV_PROJECT_ENVIRONMENT": None, "UV_PYTHON": None, "VIRTUAL_ENV": None}
WORKERS = str(min(os.cpu_count() or 1, 4))

# uv never fetches an interpreter: a session runs on one that is present, or says that it is not.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"  # noqa: TID251 - what every child process gets
# Where it is set, each process that a session starts compiles what it imports, which takes as long
# as all else that it does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251 - likewise
# Coverage that a caller started is not the sessions' own.
os.environ.pop("COVERAGE_PROCESS_START", None)  # noqa: TID251 - likewise


def _groups(*names: str) -> tuple[str, ...]:
    return tuple(part for name in names for part in ("--group", name))


def _scratch(session: nox.Session) -> Path:
    """Return a folder for what the session makes.

    Not nox's own, which also becomes `TMPDIR`: a server that a test starts as another user could
    not reach it in a clone that is private.
    """
    folder = ROOT / ".nox/scratch" / session.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _editable(folders: Iterable[Path]) -> tuple[str, ...]:
    return tuple(part for folder in folders for part in ("-e", str(folder)))


def _build(session: nox.Session, *arguments: str) -> Path:
    """Build the working tree into an empty folder of the session, and return the folder."""
    target = _scratch(session) / "dist"
    shutil.rmtree(target, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(target), *arguments, external=True)
    return target


def _wheelhouse(session: nox.Session) -> Mapping[str, str | None]:
    """Return the environment in which a service finds the library of the working tree.

    The folder is named by what the wheel holds: uv remembers a wheel by folder, name and version,
    and would install that of an earlier tree.
    """
    built = _build(session, "--wheel")
    (wheel,) = built.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    folder = built.with_name("wheelhouse") / digest[:16]
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    wheel.rename(folder / wheel.name)
    return {**OWN_ENVIRONMENTS, "UV_FIND_LINKS": str(folder)}


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests: first those that have to cover the code, with branch coverage."""
    session.install(*LIBRARY, *_groups("test", "lint", "imports"))
    session.run("coverage", "erase")
    chosen = session.posargs or ["-n", WORKERS, *MEASURED]
    session.run("coverage", "run", "-m", "pytest", *chosen)
    session.run("coverage", "combine", "--quiet")
    # Some of the tests cover some of the code.
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))
    if not session.posargs:
        rest = [f"--ignore={folder}" for folder in MEASURED]
        session.run("pytest", "-n", WORKERS, *rest, "tests/integration")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the names of changelog fragments."""
    session.install("--no-deps", "-e", ".")
    session.install(*_groups("lint", "release"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", *session.posargs)
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, also as a service sees them, and that the public surface is typed."""
    session.install(
        *LIBRARY, *_groups("types", "test", "docs", "browser"), *_editable(EXAMPLES), "nox"
    )
    session.run("pyright", *session.posargs)
    session.run("mypy")
    _check_that_the_public_surface_is_typed(session)


def _check_that_the_public_surface_is_typed(session: nox.Session) -> None:
    """Fail if a service would see a name whose type a checker does not know.

    Types that are plain but not written down, such as `model_config = ConfigDict()`, are let
    through: pyright calls them ambiguous, since other checkers might infer another type.
    """
    (wheel,) = _build(session, "--wheel").glob("*.whl")
    python = _clean_environment(session, "all", f"fastapi-baseline[all,testing] @ {wheel.as_uri()}")
    command = ("pyright", "--verifytypes", "fastapi_baseline", "--ignoreexternal", "--outputjson")
    with session.chdir(_scratch(session)):
        report = session.run(*command, "--pythonpath", python, silent=True, success_codes=[0, 1])
    counts = json.loads(str(report))["typeCompleteness"]["exportedSymbolCounts"]
    session.log(f"Public symbols: {counts}")
    if counts["withUnknownType"] or not counts["withKnownType"]:
        session.error("A public name has no known type: pyright --verifytypes fastapi_baseline")


@nox.session
def imports(session: nox.Session) -> None:
    """Check that imports point down."""
    session.install(*LIBRARY, *_groups("imports"))
    session.run("lint-imports", *session.posargs)


@nox.session
def template(session: nox.Session) -> None:
    """Render services from the template and run each service's own checks."""
    session.install(*LIBRARY, *_groups("test", "template"))
    # By file: each has services that its tests share.
    chosen = session.posargs or ["-n", WORKERS, "--dist", "loadfile", "tests/template"]
    session.run("pytest", *chosen, env=_wheelhouse(session))


@nox.session
def updates(session: nox.Session) -> None:
    """Update services from each release to each later one, and write the table of the outcome.

    It is for nights: `template` has the quick part. `nox -s updates -- --check` writes nothing, and
    fails if the table in the documentation says something else.
    """
    session.install(*LIBRARY, *_groups("test"))
    report = str(_scratch(session) / "report.xml")
    session.run(
        *("pytest", "-n", WORKERS, "--dist", "worksteal", "tests/updates"),
        # The family that says what a test has recorded.
        *("-o", "junit_family=xunit1", f"--junitxml={report}"),
        env=_wheelhouse(session),
    )
    session.run("python", "scripts/updates_table.py", report, *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example's own tests, but for those that need a program from outside Python."""
    for example in EXAMPLES:
        session.install(*LIBRARY, *_groups("test"), *_editable([example]))
        with session.chdir(example):
            session.run("pytest", "--ignore=tests/peer", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Try the library with programs that others have written; needs Node, npm and Chromium."""
    for program in ("node", "npm", "chromium"):
        if shutil.which(program) is None:
            session.error(
                f"{program} is not on PATH. On Debian: apt-get install nodejs npm chromium"
            )
    session.install(*LIBRARY, *_groups("test", "browser"))
    session.run("pytest", *(session.posargs or ["tests/peers", "tests/browser"]))
    for example in EXAMPLES:
        if not (example / "tests/peer").is_dir():
            continue
        session.install(*LIBRARY, *_groups("test"), *_editable([example]))
        with session.chdir(example):
            session.run("pytest", "tests/peer")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors, and run the code that it shows."""
    session.install(*LIBRARY, *_groups("docs", "test"))
    session.run(
        "sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html"
    )
    session.run("pytest", *(session.posargs or ["tests/docs"]), env=OWN_ENVIRONMENTS)


@nox.session
def packages(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel into clean environments, import every module."""
    folder = _build(session)  # The wheel is built from the sdist.
    (wheel,) = folder.glob("*.whl")
    _check_that_the_wheel_has_the_template(session, wheel)
    script = str(ROOT / "scripts/import_every_module.py")
    scratch = _scratch(session)
    for name, extras in (("bare", ""), ("all", "[all,testing]")):
        python = _clean_environment(session, name, f"fastapi-baseline{extras} @ {wheel.as_uri()}")
        baseline = str(Path(python).with_name("baseline"))
        # Isolated, and away from the tree: nothing but what was installed is found.
        with session.chdir(scratch):
            session.run(python, "-I", script, name, external=True)
            codes = [0] if name == "all" else [1]
            session.run(baseline, "--version", external=True, success_codes=codes)
    shutil.rmtree(scratch / "rendered", ignore_errors=True)
    command = (baseline, "new", "order-service", "--defaults", "--into", str(scratch / "rendered"))
    session.run(*command, external=True)


def _clean_environment(session: nox.Session, name: str, *requirements: str) -> str:
    """Make an environment with these requirements only; return its interpreter."""
    folder = _scratch(session) / name
    session.run("uv", "venv", "--quiet", "--clear", str(folder), external=True)
    python = str(folder / "bin/python")
    command = ("uv", "pip", "install", "--quiet", "--python", python)
    session.run(*command, *requirements, external=True)
    return python


def _check_that_the_wheel_has_the_template(session: nox.Session, wheel: Path) -> None:
    prefix = "fastapi_baseline/_template/"
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name.removeprefix(prefix) for name in archive.namelist() if prefix in name}
        bundle = archive.read("fastapi_baseline/_releases.bundle")
    present = {
        path.relative_to(ROOT).as_posix()
        for path in (
            ROOT / "copier.yml",
            ROOT / "ownership.toml",
            *(ROOT / "template").rglob("*"),
        )
        if path.is_file() and "__pycache__" not in path.parts
    }
    if shipped != present:
        session.error(f"The wheel's template differs from the tree's: {sorted(shipped ^ present)}")
    if bundle != (ROOT / "releases.bundle").read_bytes():
        session.error("The wheel's releases of the template are not those of releases.bundle")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks, or the one that is named: `nox -s bench -- imports`, `-- http --quick`."""
    session.install(*LIBRARY, *_groups("test"), *_editable(EXAMPLES))
    environment: dict[str, str] = {}
    peers = {
        "cache": ("BENCHMARK_CACHE_PEERS", "cache"),
        "data": ("BENCHMARK_PEERS", "current"),
        "http": ("BENCHMARK_HTTP_PEERS", "http"),
        "limits": ("BENCHMARK_LIMITS_PEERS", "limits"),
    }
    for name, (variable, pinned) in peers.items():
        if not session.posargs or name in session.posargs:
            environment[variable] = _peers_environment(session, pinned, *LIBRARY)
    session.run("python", "-m", "benchmarks", *session.posargs, env=environment)


@nox.session
def defects(session: nox.Session) -> None:
    """Reproduce the defects of peers that this library has tests for, and record the outcomes.

    Name environments of theirs to run only what is probed there: `nox -s defects -- http`.
    """
    names = session.posargs or ("current", "older", "http", "limits", "cache", "auth")
    environments = [f"{name}={_peers_environment(session, name)}" for name in names]
    session.run("python", "-m", "benchmarks._probing", *environments)


def _peers_environment(session: nox.Session, name: str, *requirements: str) -> str:
    """Make an environment with the peers that are pinned under a name; return its interpreter."""
    pinned = str(ROOT / f"benchmarks/peers/{name}.txt")
    return _clean_environment(session, f"peers-{name}", *requirements, "-r", pinned)


@nox.session
def demo(session: nox.Session) -> None:
    """Render a service, migrate it, run it, and walk through it over HTTP."""
    session.install(*LIBRARY)
    session.run("python", "scripts/demo.py", *session.posargs, env=_wheelhouse(session))


@nox.session
def release(session: nox.Session) -> None:
    """Check that a release could be made; publish nothing.

    `nox -s release -- --extend-bundle` adds the template, as it is, to the bundle of its releases.
    """
    session.install("-e", ".[cli]", *_groups("release"))
    session.run("python", "scripts/release_bundle.py", *session.posargs)
    version = _version()
    answers = (ROOT / "copier.yml").read_text(encoding="utf-8")
    if not re.search(
        rf"^baseline_version:(?:.*\n(?:  .*\n)*?.*)[\"']?{re.escape(version)}\b",
        answers,
        re.MULTILINE,
    ):
        session.error(f"copier.yml's baseline_version is not {version}, the library's")
    folder = _build(session)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {".gz", ".whl"})
    expected = [
        f"fastapi_baseline-{version}-py3-none-any.whl",
        f"fastapi_baseline-{version}.tar.gz",
    ]
    if names != expected:
        session.error(f"The build made {names}, not {expected}")
    session.run("towncrier", "build", "--draft", "--version", version)


def _version() -> str:
    source = (ROOT / "src/fastapi_baseline/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise LookupError("src/fastapi_baseline/__init__.py has no __version__")
    return found[1]


@nox.session(python=False)
def matrix(session: nox.Session) -> None:
    """Run the tests elsewhere: on each other Python, and on the lowest and newest dependencies.

    Name one to run it alone: `nox -s matrix -- 3.12`, `-- lowest`, `-- newest`.
    """
    present = [version for version in PYTHONS if _interpreter(version)]
    legs = {version: (version, "highest") for version in present}
    legs["lowest"] = (present[0], "lowest-direct")
    legs["newest"] = (present[-1], "highest")
    unknown = sorted(set(session.posargs) - set(legs))
    if unknown:
        session.error(f"No such leg, or no such Python here: {unknown}; there are {list(legs)}")
    # The oldest Python is that of the other sessions, and the newest has the newest dependencies.
    failed: list[str] = []
    for name in session.posargs or (*present[1:-1], "lowest", "newest"):
        version, resolution = legs[name]
        session.log(f"{name}: Python {version}, dependencies {resolution}")
        try:
            _run_tests_on(session, name, version=version, resolution=resolution)
        except CommandFailed:
            failed.append(name)
    if failed:
        session.error(f"Failed: {', '.join(failed)}")


def _interpreter(version: str) -> str | None:
    """Return the path of a Python that is present here: one that uv finds, or one of pyenv's."""
    found = subprocess.run(
        ("uv", "python", "find", "--no-project", "--system", version),
        capture_output=True,
        check=False,
        text=True,
    )
    if found.stdout.strip():
        return found.stdout.strip()
    # On PATH, pyenv has only the version that is chosen.
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))  # noqa: TID251 - its own
    kept = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return str(kept[-1]) if kept else None


def _run_tests_on(session: nox.Session, name: str, *, version: str, resolution: str) -> None:
    folder = _scratch(session) / name
    python = str(folder / "bin/python")
    interpreter = str(_interpreter(version))
    session.run(
        "uv", "venv", "--quiet", "--clear", "--python", interpreter, str(folder), external=True
    )
    session.run(
        *("uv", "pip", "install", "--quiet", "--python", python, "--resolution", resolution),
        *(*LIBRARY, *_groups("test", "lint", "imports")),
        external=True,
    )
    session.run("uv", "pip", "list", "--quiet", "--python", python, external=True)
    # Programs that tests start (ruff, lint-imports, baseline) are those of this environment.
    path = os.pathsep.join((str(folder / "bin"), session.env.get("PATH") or os.defpath))
    arguments = (
        "-m",
        "pytest",
        "-n",
        WORKERS,
        *ELSEWHERE,
        *(THOROUGHLY if name == "newest" else ()),
    )
    session.run(python, *arguments, "tests", env={"PATH": path}, external=True)

"""What the template may well learn next, as data: each change is made, and looked for in services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi_baseline import __version__
from tests.template.publishing import Repository

NEXT = "99.2.0"

_PACKAGE = "template/src/{{ package_name }}"
_COMPOSE = "template/{% if 'compose' in deploy %}compose.yaml{% endif %}.jinja"
_WORKFLOW = "template/{% if ci == 'github' %}.github{% endif %}/workflows/ci.yml.jinja"
_MONITORING = "template/{% if 'monitoring' in deploy %}monitoring{% endif %}"
_PIPELINE = "template/{% if ci == 'gitlab' %}.gitlab-ci.yml{% endif %}.jinja"
_HELM = "template/{% if 'helm' in deploy %}helm{% endif %}"
_ALEMBIC = "template/{% if has_database %}alembic{% endif %}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the template between two releases; a text replaces another wherever it is."""

    name: str
    replaced: Sequence[tuple[str, str, str]] = ()
    """The file, what is taken out, and what takes its place."""
    appended: Mapping[str, str] = field(default_factory=dict[str, str])
    """By file, what is added to its end."""
    added: Mapping[str, str] = field(default_factory=dict[str, str])
    """By new file, what it says."""
    deleted: Sequence[str] = ()
    shows: Sequence[tuple[str, str]] = ()
    """What to look for in a service: a file, and a text that it has. `PACKAGE` is its package."""

    def make(self, repository: Repository) -> None:
        """Make the change in the folder of the published template."""
        for name, old, new in self.replaced:
            repository.edit(name, old, new)
        for name, text in self.appended.items():
            path = repository.folder / name
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
        for name, text in self.added.items():
            path = repository.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name in self.deleted:
            (repository.folder / name).unlink()

    def find_missing(self, service: Path) -> list[str]:
        """Return what of the change a service lacks, in the files that it has."""
        (package,) = (path.parent.name for path in service.glob("src/*/settings.py"))
        missing: list[str] = []
        for name, text in self.shows:
            path = service / name.replace("PACKAGE", package)
            if path.is_file() and text not in path.read_text(encoding="utf-8"):
                missing.append(f"{name} lacks {text!r}")
        return missing


CHANGES: tuple[Change, ...] = (
    Change(
        name="needs a newer library",
        replaced=[
            ("copier.yml", f'default: "{__version__}"', f'default: "{NEXT}"'),
            ("copier.yml", 'default: "0.3"', 'default: "99.3"'),
        ],
        shows=[("pyproject.toml", f">={NEXT},<99.3")],
    ),
    Change(
        name="needs newer tools, and asks them for more",
        replaced=[
            ("template/pyproject.toml.jinja", '"ruff>=0.15"', '"ruff>=0.16"'),
            ("template/pyproject.toml.jinja", '"UP", "W",', '"UP", "W", "YTT",'),
        ],
        shows=[("pyproject.toml", '"ruff>=0.16"'), ("pyproject.toml", '"W", "YTT",')],
    ),
    Change(
        name="configures another tool",
        replaced=[
            (
                "template/pyproject.toml.jinja",
                "[tool.pyright]\n",
                "[tool.pyright]\nreportMissingTypeStubs = true\n",
            ),
        ],
        shows=[("pyproject.toml", "reportMissingTypeStubs")],
    ),
    Change(
        name="builds on another Python",
        replaced=[
            (
                "template/Dockerfile.jinja",
                "FROM python:3.13-slim AS build",
                "FROM python:3.14-slim AS build",
            ),
            ("template/Dockerfile.jinja", "FROM python:3.13-slim\n", "FROM python:3.14-slim\n"),
            ("template/Dockerfile.jinja", "astral-sh/uv:0.13", "astral-sh/uv:0.14"),
        ],
        shows=[("Dockerfile", "FROM python:3.14-slim\n"), ("Dockerfile", "uv:0.14")],
    ),
    Change(
        name="looks after the health of the image otherwise",
        replaced=[("template/Dockerfile.jinja", "--start-period=15s", "--start-period=30s")],
        shows=[("Dockerfile", "--start-period=30s")],
    ),
    Change(
        name="runs newer servers",
        replaced=[
            (_COMPOSE, "image: redis:8", "image: redis:9"),
            (_COMPOSE, "image: postgres:18", "image: postgres:19"),
            (
                _COMPOSE,
                "    ENVIRONMENT: development\n",
                "    ENVIRONMENT: development\n    LOG__FORMAT: console\n",
            ),
        ],
        shows=[("compose.yaml", "image: redis:9")],
    ),
    Change(
        name="checks more in the workflow, with newer actions",
        replaced=[
            (_WORKFLOW, "actions/checkout@v5", "actions/checkout@v6"),
            (
                _WORKFLOW,
                "      - run: uv sync --locked\n      - run: uv run ruff check\n",
                "      - run: uv sync --locked\n      - run: uv tree\n      - run: uv run ruff check\n",
            ),
        ],
        shows=[
            (".github/workflows/ci.yml", "uv tree"),
            (".github/workflows/ci.yml", "checkout@v6"),
        ],
    ),
    Change(
        name="explains itself better",
        replaced=[("template/README.md.jinja", "## Settings", "## Its settings")],
        shows=[("README.md", "## Its settings")],
    ),
    Change(
        name="hides more from git",
        replaced=[
            ("template/.gitignore.jinja", ".ruff_cache/\n", ".ruff_cache/\nnode_modules/\n"),
        ],
        shows=[(".gitignore", "node_modules/")],
    ),
    Change(
        name="documents a new setting",
        replaced=[
            (
                "template/.env.example.jinja",
                "LOG__LEVEL=INFO\n",
                "LOG__LEVEL=INFO\n# LOG__REDACT=iban\n",
            ),
        ],
        shows=[(".env.example", "# LOG__REDACT=iban")],
    ),
    Change(
        name="says more in code",
        replaced=[
            (f"{_PACKAGE}/main.py.jinja", '"""The application;', '"""The whole application;'),
            (
                f"{_PACKAGE}/settings.py.jinja",
                '"""What the environment tells the service."""',
                '"""What the environment, and nothing else, tells the service."""',
            ),
        ],
        shows=[
            ("src/PACKAGE/main.py", "The whole application"),
            ("src/PACKAGE/settings.py", "and nothing else,"),
        ],
    ),
    Change(
        name="tests more",
        replaced=[
            (
                "template/tests/test_health.py.jinja",
                '    for probe in ("/livez", "/readyz"):',
                '    for probe in ("/livez", "/readyz", "/startupz"):',
            ),
            (
                "template/tests/conftest.py.jinja",
                '"""What every test may ask for."""',
                '"""What every test may ask for by name."""',
            ),
        ],
        shows=[
            ("tests/test_health.py", '"/startupz"):'),
            ("tests/conftest.py", "may ask for by name"),
        ],
    ),
    Change(
        name="checks more before a commit",
        replaced=[
            ("template/.pre-commit-config.yaml.jinja", "rev: v6.0.0", "rev: v6.1.0"),
            (
                "template/.pre-commit-config.yaml.jinja",
                "      - id: check-toml\n",
                "      - id: check-added-large-files\n      - id: check-toml\n",
            ),
        ],
        shows=[(".pre-commit-config.yaml", "check-added-large-files")],
    ),
    Change(
        name="migrates otherwise",
        replaced=[
            (
                f"{_ALEMBIC}/script.py.mako",
                "import sqlalchemy as sa\n",
                "# ruff: noqa: D\nimport sqlalchemy as sa\n",
            ),
        ],
        shows=[("alembic/script.py.mako", "# ruff: noqa: D")],
    ),
    Change(
        name="alerts later",
        replaced=[
            (f"{_MONITORING}/rules.yml", "What to be woken up for", "What somebody is woken up for")
        ],
        shows=[("monitoring/rules.yml", "What somebody is woken up for")],
    ),
    Change(
        name="builds with newer containers in the pipeline",
        replaced=[
            (_PIPELINE, "'uv>=0.13,<0.14'", "'uv>=0.14,<0.15'"),
            (_PIPELINE, "image: docker:29\n", "image: docker:30\n"),
            (_PIPELINE, 'services: ["docker:29-dind"]', 'services: ["docker:30-dind"]'),
        ],
        shows=[(".gitlab-ci.yml", "- pip install --quiet 'uv>=0.14")],
    ),
    Change(
        name="deploys otherwise",
        replaced=[
            (f"{_HELM}/values.yaml.jinja", "  maxReplicas: 10\n", "  maxReplicas: 20\n"),
            (
                f"{_HELM}/values.yaml.jinja",
                "  ENVIRONMENT: production\n",
                "  ENVIRONMENT: production\n  LOG__LEVEL: INFO\n",
            ),
        ],
        added={f"{_HELM}/templates/NOTES.txt": "It is deployed.\n"},
        shows=[("helm/values.yaml", "maxReplicas: 20"), ("helm/values.yaml", "LOG__LEVEL: INFO")],
    ),
    Change(
        name="tells agents more",
        replaced=[("template/AGENTS.md.jinja", "## Rules\n", "## The rules\n")],
        shows=[("AGENTS.md", "## The rules")],
    ),
    Change(
        name="gives up a file, which stays",
        replaced=[("copier.yml", "  - .DS_Store\n", "  - .DS_Store\n  - /.dockerignore\n")],
        deleted=["template/.dockerignore.jinja"],
    ),
    Change(
        name="adds a file for everybody",
        added={"template/docs/operation.md.jinja": "# How {{ service_name }} is operated\n"},
        shows=[("docs/operation.md", "is operated")],
    ),
    Change(
        name="asks under another name, and asks for something new",
        replaced=[
            ("copier.yml", "owner:\n  type: str\n", "team:\n  type: str\n"),
            (
                "copier.yml",
                "default: platform\n",
                "default: \"{{ owner | default('platform') }}\"\n",
            ),
            ("copier.yml", "if not (owner | trim)", "if not (team | trim)"),
            (
                "copier.yml",
                "elif owner | length > 80 or owner |",
                "elif team | length > 80 or team |",
            ),
        ],
        appended={
            "copier.yml": (
                '\nowner:\n  type: str\n  default: "{{ team }}"\n  when: false\n'
                "is_audited:\n  type: bool\n  help: Is it audited?\n  default: false\n"
            )
        },
        shows=[(".copier-answers.yml", "team: "), (".copier-answers.yml", "is_audited: false")],
    ),
)


def publish_what_comes_later(repository: Repository) -> None:
    """Make a release of the template in which each change is made."""
    for change in CHANGES:
        change.make(repository)
    repository.publish(f"v{NEXT}")


def find_missing(service: Path) -> list[str]:
    """Return what of the changes a service lacks, in the files that it has."""
    return [f"{change.name}: {lack}" for change in CHANGES for lack in change.find_missing(service)]

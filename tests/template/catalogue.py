"""What users do to a service, as data: each edit is made, and found again after an update."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.template.publishing import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of a user's; in paths and texts, `PACKAGE` is the service's package."""

    name: str
    replaced: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """By file, what is taken out, and what takes its place."""
    appended: Mapping[str, str] = field(default_factory=dict[str, str])
    """By file, what is added to its end."""
    added: Mapping[str, str] = field(default_factory=dict[str, str])
    """By new file, what it says."""
    moved: Mapping[str, str] = field(default_factory=dict[str, str])
    """By old path, the new one."""
    deleted: Sequence[str] = ()
    """Files and folders."""
    needed: Sequence[str] = ()
    """What else the service must have."""
    is_alone: bool = False
    """Whether it takes away what other edits change."""

    def is_for(self, service: Path) -> bool:
        """Return whether a service has the files that this is about."""
        needed = {*self.replaced, *self.appended, *self.moved, *self.deleted, *self.needed}
        return all((service / self._named(path, service)).exists() for path in needed)

    def make(self, service: Path) -> None:
        """Make the change."""
        for path, (old, new) in self.replaced.items():
            replace(
                service / self._named(path, service),
                self._named(old, service),
                self._named(new, service),
            )
        for path, text in self.appended.items():
            file = service / self._named(path, service)
            before = file.read_text(encoding="utf-8")
            file.write_text(before + self._named(text, service), encoding="utf-8")
        for path, text in self.added.items():
            file = service / self._named(path, service)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self._named(text, service), encoding="utf-8")
        for old, new in self.moved.items():
            target = service / self._named(new, service)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(service / self._named(old, service), target)
        for path in self.deleted:
            found = service / self._named(path, service)
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()

    def find_losses(self, service: Path) -> list[str]:
        """Return what of the change a service does not have, or has again."""
        lost = [
            f"{path} lacks {line!r}"
            for path, (old, new) in self._texts().items()
            for line in _new_lines(self._named(old, service), self._named(new, service))
            if line not in _read(service / self._named(path, service))
        ]
        gone = [*self.deleted, *self.moved]
        lost += [
            f"{path} is back" for path in gone if (service / self._named(path, service)).exists()
        ]
        lost += [
            f"{path} is gone"
            for path in self.moved.values()
            if not (service / self._named(path, service)).exists()
        ]
        return lost

    def _texts(self) -> dict[str, tuple[str, str]]:
        new = {path: ("", text) for path, text in {**self.appended, **self.added}.items()}
        return {**self.replaced, **new}

    def _named(self, text: str, service: Path) -> str:
        (package,) = (path.parent.name for path in service.glob("src/*/settings.py"))
        return text.replace("PACKAGE", package)


def make_all(edits: Sequence[Edit], service: Path) -> list[Edit]:
    """Make each edit that is for a service, and return those that were."""
    made = [edit for edit in edits if edit.is_for(service)]
    for edit in made:
        edit.make(service)
    return made


def find_losses(edits: Sequence[Edit], service: Path) -> list[str]:
    """Return what of the edits a service has lost."""
    return [f"{edit.name}: {lost}" for edit in edits for lost in edit.find_losses(service)]


def _new_lines(old: str, new: str) -> list[str]:
    before = set(old.splitlines())
    return [line for line in new.splitlines() if line.strip() and line not in before]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


_ORDERS = '''"""Orders over HTTP."""

from fastapi import APIRouter
from fastapi_baseline.access import public

router = APIRouter(prefix="/orders", tags=["orders"])


@router.get("/count", summary="Count orders")
@public
async def count_orders() -> int:
    """Return how many orders there are."""
    return 0
'''
_TEST_OF_ORDERS = '''"""Orders over HTTP."""

from httpx2 import AsyncClient


async def test_counts_orders(client: AsyncClient) -> None:
    assert (await client.get("/orders/count")).json() == 0
'''

EDITS: tuple[Edit, ...] = (
    Edit(
        name="adds a dependency",
        replaced={
            "pyproject.toml": (
                "change only what is above it.\n]",
                'change only what is above it.\n  "stripe>=9",\n]',
            )
        },
    ),
    Edit(
        name="adds a dependency of development",
        replaced={
            "pyproject.toml": (
                '"ruff>=0.15",\n  # Yours go below this line.\n]',
                '"ruff>=0.15",\n  # Yours go below this line.\n  "coverage>=7",\n]',
            )
        },
    ),
    Edit(
        name="asks ruff for more",
        replaced={
            "pyproject.toml": (
                '"W",\n  # Yours go below this line.\n]',
                '"W",\n  # Yours go below this line.\n  "PERF",\n]',
            )
        },
    ),
    Edit(
        name="counts its own versions",
        replaced={"pyproject.toml": ('version = "0.1.0"', 'version = "1.4.0"')},
    ),
    Edit(
        name="configures a tool of its own",
        appended={"pyproject.toml": "\n[tool.coverage.report]\nshow_missing = true\n"},
    ),
    Edit(
        name="adds a setting",
        appended={"src/PACKAGE/settings.py": '    greeting: str = "Hello"\n'},
    ),
    Edit(
        name="names its file of data",
        replaced={
            "src/PACKAGE/settings.py": ("sqlite:///PACKAGE.db", "sqlite:///data.db"),
        },
        needed=("alembic/env.py",),
    ),
    Edit(
        name="adds a domain",
        added={
            "src/PACKAGE/domains/orders/__init__.py": '"""Orders."""\n',
            "src/PACKAGE/domains/orders/router.py": _ORDERS,
            "tests/domains/test_orders.py": _TEST_OF_ORDERS,
        },
    ),
    Edit(
        name="changes the example",
        replaced={
            "src/PACKAGE/domains/items/service.py": (
                "What can be done with items.",
                "What our shop does with items.",
            ),
            "src/PACKAGE/domains/items/models.py": (
                "    quantity: Mapped[int]\n",
                "    quantity: Mapped[int]\n    colour: Mapped[str | None]\n",
            ),
        },
    ),
    Edit(
        name="deletes the example",
        deleted=("src/PACKAGE/domains/items", "tests/domains/test_items.py"),
        is_alone=True,
    ),
    Edit(
        name="does something when the application is made",
        appended={"src/PACKAGE/main.py": 'app.title = "The shop"\n'},
    ),
    Edit(
        name="adds a fixture",
        appended={
            "tests/conftest.py": '\n\n@pytest.fixture\ndef colour() -> str:\n    """Return a colour."""\n    return "blue"\n'
        },
    ),
    Edit(
        name="tests more of the whole",
        appended={
            "tests/test_health.py": '\n\nasync def test_has_started(client: AsyncClient) -> None:\n    assert (await client.get("/startupz")).status_code == 200\n'
        },
    ),
    Edit(
        name="moves a file",
        moved={"tests/test_health.py": "tests/service/test_whole.py"},
        is_alone=True,
    ),
    Edit(
        name="installs a package into the image",
        replaced={
            "Dockerfile": (
                "WORKDIR /app\nCOPY --from=build",
                "RUN apt-get update && apt-get install --yes libmagic1\nWORKDIR /app\nCOPY --from=build",
            )
        },
    ),
    Edit(
        name="gives the image a variable",
        replaced={"Dockerfile": ("STOPSIGNAL SIGTERM\n", "ENV TZ=UTC\nSTOPSIGNAL SIGTERM\n")},
    ),
    Edit(
        name="adds a container",
        replaced={
            "compose.yaml": (
                "  redis:\n    image: redis:8\n",
                "  mail:\n    image: axllent/mailpit\n\n  redis:\n    image: redis:8\n",
            )
        },
    ),
    Edit(
        name="gives the containers a variable",
        replaced={
            "compose.yaml": (
                "REDIS_URL: redis://redis:6379/0\n",
                "REDIS_URL: redis://redis:6379/0\n    GREETING: Hello\n",
            )
        },
        needed=("alembic/env.py",),
    ),
    Edit(
        name="publishes another port",
        replaced={"compose.yaml": ("127.0.0.1:8000:8000", "127.0.0.1:8080:8000")},
    ),
    Edit(
        name="writes about itself",
        replaced={
            "README.md": (
                "## Updates\n",
                "## Who to call\n\nThe shop's team, at any time.\n\n## Updates\n",
            )
        },
    ),
    Edit(
        name="hides more from git",
        appended={".gitignore": "\n# Ours\n/secrets/\n"},
    ),
    Edit(
        name="documents a variable",
        appended={".env.example": "\n# How people are greeted\n# GREETING=Hello\n"},
    ),
    Edit(
        name="adds a hook",
        appended={
            ".pre-commit-config.yaml": "      - id: pyright\n        name: pyright\n        entry: uv run pyright\n        language: system\n        pass_filenames: false\n"
        },
    ),
    Edit(name="wants no hooks", deleted=(".pre-commit-config.yaml",), is_alone=True),
    Edit(
        name="adds a step to the workflow",
        replaced={
            ".github/workflows/ci.yml": (
                "      - run: uv run baseline check\n",
                "      - run: uv run baseline check\n      - run: uv run coverage report\n",
            )
        },
    ),
    Edit(
        name="adds a workflow",
        added={
            ".github/workflows/deploy.yml": "name: Deploy\non: workflow_dispatch\njobs: {}\n",
        },
    ),
    Edit(
        name="writes a migration",
        replaced={
            "alembic/env.py": (
                "from fastapi_baseline",
                "# Ours are made by hand.\nfrom fastapi_baseline",
            )
        },
        added={
            "alembic/versions/0001_begin.py": (
                '"""Begin."""\n\nrevision: str = "0001"\ndown_revision: str | None = None\n'
                "branch_labels: str | None = None\ndepends_on: str | None = None\n\n\n"
                "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
            )
        },
    ),
    Edit(
        name="adds a job to the pipeline",
        appended={
            ".gitlab-ci.yml": "deploy:\n  stage: build\n  script: [./deploy]\n  when: manual\n"
        },
    ),
    Edit(
        name="says who reviews",
        appended={"CODEOWNERS": "* @shop/orders\n/helm/ @shop/platform\n"},
    ),
    Edit(
        name="sets more in the cluster",
        replaced={
            "helm/values.yaml": (
                "change only what is above it.\n",
                "change only what is above it.\n  GREETING: Hello\n",
            )
        },
    ),
    Edit(
        name="takes another secret from the cluster",
        replaced={
            "helm/values.yaml": (
                "optional: true }\n  # Yours go below this line.\n",
                (
                    "optional: true }\n  # Yours go below this line.\n"
                    "  STRIPE_KEY: { name: stripe, key: live }\n"
                ),
            )
        },
    ),
    Edit(
        name="wants more of the cluster",
        replaced={
            "helm/values.yaml": (
                "requests: { cpu: 100m, memory: 256Mi }",
                "requests: { cpu: 500m, memory: 256Mi }",
            )
        },
    ),
    Edit(
        name="adds a manifest to the chart",
        added={
            "helm/templates/config.yaml": (
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-texts\n"
            )
        },
        needed=("helm/Chart.yaml",),
    ),
    Edit(
        name="updates some packages otherwise",
        replaced={
            "renovate.json": (
                '"packageRules": [\n',
                '"packageRules": [\n    { "matchPackageNames": ["stripe"], "automerge": true },\n',
            )
        },
    ),
    Edit(
        name="tells agents its own rules",
        appended={"AGENTS.md": "\n## Ours\n\n- Amounts are in cents.\n"},
    ),
    Edit(
        name="changes when it is alerted",
        replaced={
            "monitoring/rules.yml": (
                "expr: up == 0\n        for: 2m\n",
                "expr: up == 0\n        for: 7m\n",
            )
        },
    ),
    Edit(
        name="keeps documents",
        added={
            "CHANGELOG.md": "# Changes\n\n## 1.4.0\n\nOrders.\n",
            "docs/decisions/0001-orders.md": "# Orders are a domain\n",
        },
    ),
)


def edits_at_once() -> list[Edit]:
    """Return the edits that can be made together."""
    return [edit for edit in EDITS if not edit.is_alone]

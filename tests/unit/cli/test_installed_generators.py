import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fastapi_baseline.cli.commands import app
from fastapi_baseline.errors import ConfigurationError

MODULE = '''\
from pathlib import PurePosixPath


class Consumer:
    """Makes a module that is called like its first argument."""

    help = "A consumer of a queue: NAME [--topic TOPIC]."

    def plan(self, arguments, service):
        folder = PurePosixPath("src") / service.package / "consumers"
        return {folder / f"{arguments[0]}.py": f"ARGUMENTS = {arguments!r}\\n"}
'''
POINTS = """\
[fastapi_baseline.generators]
broken = acme_generators:Nothing
consumer = acme_generators:Consumer
resource = acme_generators:Consumer
"""


def find_nothing(name: str) -> None:
    """Find no formatter: nothing here needs one."""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a service next to a package with generators, and work in it."""
    files = {
        "shop/pyproject.toml": '[tool.baseline]\npackage = "shop"\n',
        "shop/src/shop/domains/__init__.py": "",
        "site/acme_generators.py": MODULE,
        "site/acme_generators-1.2.dist-info/METADATA": (
            "Metadata-Version: 2.1\nName: acme-generators\nVersion: 1.2\n"
        ),
        "site/acme_generators-1.2.dist-info/entry_points.txt": POINTS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr("fastapi_baseline.scaffolding.writing.find_spec", find_nothing)
    monkeypatch.delitem(sys.modules, "acme_generators", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["add", *words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_lists_what_is_installed_without_importing_it() -> None:
    said = call("--help").stdout

    assert "consumer  What acme-generators 1.2 brings." in said
    assert "broken" in said
    assert "acme_generators" not in sys.modules


def test_keeps_what_the_library_can_add() -> None:
    assert "Add a resource: model" in call("resource", "--help").stdout
    assert call("--help").stdout.count("\n  resource ") == 1


def test_shows_the_help_of_a_generator() -> None:
    assert "A consumer of a queue: NAME [--topic TOPIC]." in call("consumer", "--help").stdout


def test_writes_what_it_makes_of_all_its_arguments(root: Path) -> None:
    said = call("consumer", "orders", "--topic", "new").stdout

    assert "Written: src/shop/consumers/orders.py" in said
    text = (root / "src/shop/consumers/orders.py").read_text(encoding="utf-8")
    assert text == "ARGUMENTS = ['orders', '--topic', 'new']\n"


def test_has_nothing_to_do_a_second_time() -> None:
    call("consumer", "orders")

    assert "there is nothing to do" in call("consumer", "orders").stdout


def test_writes_nothing_in_a_dry_run(root: Path) -> None:
    said = call("consumer", "orders", "--dry-run", "--json").stdout

    assert json.loads(said) == {
        "kind": "consumer",
        "dry_run": True,
        "written": ["src/shop/consumers/orders.py"],
    }
    assert not (root / "src/shop/consumers").exists()


def test_says_whose_generator_is_broken() -> None:
    with pytest.raises(ConfigurationError, match=r"'broken' of acme-generators 1\.2 cannot"):
        call("broken")


def test_knows_no_other_kind() -> None:
    assert "No such command 'nothing'" in call("nothing", code=2).output

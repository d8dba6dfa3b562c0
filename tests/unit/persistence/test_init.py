import subprocess
import sys
from types import ModuleType

import pytest

import fastapi_baseline.persistence
from fastapi_baseline.persistence import migrations

_WITHOUT = """
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {library!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
# Whoever measures coverage may have imported it already.
for loaded in [name for name in sys.modules if name.partition(".")[0] == {library!r}]:
    del sys.modules[loaded]
from fastapi_baseline.errors import MissingExtraError

try:
    import {module}
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize("library", ["sqlalchemy", "greenlet"])
@pytest.mark.parametrize("module", ["persistence", "persistence.models", "persistence.migrations"])
def test_names_the_extra_without_its_libraries(library: str, module: str) -> None:
    program = _WITHOUT.format(library=library, module=f"fastapi_baseline.{module}")

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install 'fastapi-baseline[persistence]'" in result.stdout


def test_migrations_name_the_extra_without_alembic() -> None:
    program = _WITHOUT.format(library="alembic", module="fastapi_baseline.persistence.migrations")

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install 'fastapi-baseline[persistence]'" in result.stdout


@pytest.mark.parametrize("package", [fastapi_baseline.persistence, migrations])
def test_every_public_name_is_there(package: ModuleType) -> None:
    names: list[str] = package.__all__

    assert [getattr(package, name).__class__ for name in names]
    assert set(names) <= set(dir(package))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


def test_importing_it_loads_neither_alembic_nor_a_driver() -> None:
    program = (
        "import sys, fastapi_baseline.persistence as p; [getattr(p, n) for n in p.__all__];"
        "print({'alembic', 'asyncpg', 'psycopg', 'aiosqlite'} & set(sys.modules))"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "set()"

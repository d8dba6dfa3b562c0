import errno
from pathlib import Path

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.removal import Removed, plan_removal, remove_resource
from fastapi_baseline.scaffolding.service import Service, read_service
from fastapi_baseline.scaffolding.specification import ResourceSpecification
from fastapi_baseline.scaffolding.writing import add_resource, plan_addition


def tree_of(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


def remove(root: Path, name: str = "order", *, is_forced: bool = False) -> Removed:
    removal = plan_removal(read_service(root), name)
    return remove_resource(removal, is_forced=is_forced, is_migrated=False)


@pytest.fixture
def before(service: Service) -> dict[str, bytes | None]:
    return tree_of(service.root)


@pytest.fixture
def root(service: Service, before: object, order: ResourceSpecification) -> Path:
    add_resource(plan_addition(order, service, is_migrated=False))
    return service.root


@pytest.mark.parametrize("name", ["order", "orders", "Order"])
def test_leaves_no_trace(name: str, root: Path, before: dict[str, bytes | None]) -> None:
    removed = remove(root, name)

    assert tree_of(root) == before
    assert len(removed.paths) == 8


def test_sweeps_what_tools_have_left(root: Path, before: dict[str, bytes | None]) -> None:
    cache = root / "src/shop/domains/orders/__pycache__"
    cache.mkdir()
    (cache / "models.cpython-311.pyc").write_bytes(b"")

    remove(root)

    assert tree_of(root) == before


@pytest.mark.parametrize("name", ["service.py", "events.py"])
def test_deletes_what_people_have_written_only_if_they_say_so(
    name: str, root: Path, before: dict[str, bytes | None]
) -> None:
    (root / "src/shop/domains/orders" / name).write_text("# mine\n", encoding="utf-8")
    edited = tree_of(root)

    with pytest.raises(ConfigurationError, match=r"not as it was written; --force"):
        remove(root)
    assert tree_of(root) == edited

    remove(root, is_forced=True)
    assert tree_of(root) == before


def test_keeps_what_others_refer_to(root: Path) -> None:
    line = ResourceSpecification(
        name="order_line", plural="order_lines", fields=parse_fields(["order:ref=order"])
    )
    add_resource(plan_addition(line, read_service(root), is_migrated=False))

    with pytest.raises(ConfigurationError, match=r"OrderLine in .* refers to 'order'"):
        remove(root)


def test_removes_nothing_that_it_has_not_written(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No resource 'customer' .*there are: order"):
        remove(root, "customer")


def test_says_that_a_record_cannot_be_read(root: Path) -> None:
    (root / ".baseline/resources/orders.toml").write_text("name = 1\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"orders\.toml cannot be read"):
        remove(root)


def test_deletes_all_or_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree_of(root)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.suffix == ".toml" and path.is_relative_to(root / ".baseline"):
            raise OSError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ConfigurationError, match="Permission denied Nothing was deleted"):
        remove(root)

    assert tree_of(root) == before

import errno
import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding import writing
from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.service import Service, read_service
from fastapi_baseline.scaffolding.specification import ResourceSpecification
from fastapi_baseline.scaffolding.writing import add_resource, plan_addition, without_bytecode


def tree_of(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


def test_writes_what_it_has_planned(order: ResourceSpecification, service: Service) -> None:
    before = tree_of(service.root)
    addition = plan_addition(order, service, is_migrated=False)
    assert tree_of(service.root) == before

    added = add_resource(addition)

    written = {name for name, content in tree_of(service.root).items() if content is not None}
    assert written - set(before) == {str(path) for path in added.paths}
    assert {str(path) for path in addition.files} < written
    assert added.revision is None


@pytest.mark.usefixtures("formatted")
def test_writes_what_needs_no_formatting(order: ResourceSpecification, service: Service) -> None:
    add_resource(plan_addition(order, service, is_migrated=False))

    models = (service.domains_folder / "orders/models.py").read_text(encoding="utf-8")
    router = (service.domains_folder / "orders/router.py").read_text(encoding="utf-8")
    assert models.endswith(
        'ForeignKey("customer.id"), index=True)\n    note: Mapped[str | None] = mapped_column(Text)\n'
    )
    # What is the service's own stands apart.
    assert "\n\nfrom shop.domains.orders.models import Order\n" in router


def test_does_nothing_the_second_time(order: ResourceSpecification, service: Service) -> None:
    add_resource(plan_addition(order, service, is_migrated=False))

    again = plan_addition(order, read_service(service.root))

    assert again.is_done


def test_refuses_a_resource_that_is_there_with_other_fields(
    order: ResourceSpecification, service: Service
) -> None:
    add_resource(plan_addition(order, service, is_migrated=False))
    other = replace(order, fields=parse_fields(["number:string"]))

    with pytest.raises(ConfigurationError, match=r"already, with number:string\(20\)!"):
        plan_addition(other, read_service(service.root))


def test_says_what_is_missing_of_a_resource(order: ResourceSpecification, service: Service) -> None:
    add_resource(plan_addition(order, service, is_migrated=False))
    (service.domains_folder / "orders/service.py").unlink()

    with pytest.raises(ConfigurationError, match=r"service\.py was written for 'order'"):
        plan_addition(order, read_service(service.root))


def test_overwrites_nothing(order: ResourceSpecification, service: Service) -> None:
    own = service.root / "tests/domains/test_orders.py"
    own.parent.mkdir()
    own.write_text("mine\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"test_orders\.py is there already"):
        plan_addition(order, service)

    assert own.read_text(encoding="utf-8") == "mine\n"


def test_overwrites_nothing_that_came_after_the_plan(
    order: ResourceSpecification, service: Service
) -> None:
    addition = plan_addition(order, service, is_migrated=False)
    own = service.root / "tests/domains/test_orders.py"
    own.parent.mkdir()
    own.write_text("mine\n", encoding="utf-8")
    before = tree_of(service.root)

    with pytest.raises(ConfigurationError, match=r"Nothing was written\. .*exists"):
        add_resource(addition)

    assert tree_of(service.root) == before


def test_leaves_nothing_if_the_migration_fails(
    order: ResourceSpecification, service: Service
) -> None:
    addition = plan_addition(order, service)
    before = tree_of(service.root)

    with pytest.raises(RuntimeError, match="not to be run"):
        add_resource(addition)

    assert tree_of(service.root) == before


@pytest.mark.parametrize("full_at", range(15))
def test_leaves_nothing_on_a_full_disk(
    full_at: int,
    order: ResourceSpecification,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addition = plan_addition(order, service, is_migrated=False)
    before = tree_of(service.root)
    written = itertools.count()
    link, write_text = os.link, Path.write_text

    def fill_up() -> None:
        if next(written) == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def link_once(source: Path, target: Path) -> None:
        fill_up()
        link(source, target)

    def refuse_to_copy(path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write_once(path: Path, text: str, **options: str) -> int:
        fill_up()
        return write_text(path, text, **options)

    monkeypatch.setattr(os, "link", link_once)
    monkeypatch.setattr(Path, "write_text", write_once)
    # Where there are no links, a file is copied instead, and cannot be.
    monkeypatch.setattr(Path, "read_bytes", refuse_to_copy)
    with pytest.raises(ConfigurationError, match=r"Nothing was written\. .*No space left"):
        add_resource(addition)

    monkeypatch.undo()
    assert tree_of(service.root) == before


def test_copies_where_there_are_no_links(
    order: ResourceSpecification, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(writing.os, "link", refuse)

    added = add_resource(plan_addition(order, service, is_migrated=False))

    assert all((service.root / path).stat().st_size for path in added.paths)


def test_needs_no_migration_for_a_table_that_exists(
    order: ResourceSpecification, service: Service
) -> None:
    addition = plan_addition(replace(order, table="legacy_orders"), service)

    assert not addition.is_migrated


def test_refuses_a_service_without_a_database(
    order: ResourceSpecification, service: Service
) -> None:
    with pytest.raises(ConfigurationError, match="has no database"):
        plan_addition(order, replace(service, has_database=False))


def test_imports_without_leaving_bytecode() -> None:
    before = sys.dont_write_bytecode

    with without_bytecode():
        assert sys.dont_write_bytecode

    assert sys.dont_write_bytecode == before

"""Resources that are added to a service: green at once, and removed again without a trace."""

from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., str]
Run = Callable[..., str]
Render = Callable[..., Path]

# All types of fields, optional, unique, indexed and plain; references to others, to themselves, to
# examples and to each other's kind; names that are words elsewhere.
RESOURCES = """
customer 'name:string(100)!' 'email:email#' 'member_since:date?'
order 'number:string(20)!' 'total:decimal(12,2)' 'status:enum(open|paid)' 'customer:ref=customer'
order_line 'order:ref=order' 'item:ref=item' 'quantity:integer#' 'price:decimal(10)'
category 'title:string(3)!' 'parent:ref=category?'
profile 'customer:ref=customer!' 'settings:json' 'about:text?'
appointment 'date:date' 'datetime:datetime' 'text:string' 'field:integer' 'decimal:decimal(3,3)'
reading 'value:number' 'unit:enum(kg|m|s)#' 'taken_at:datetime#'
document 'body:json'
flag 'enabled:boolean'
level 'kind:enum(a)'
link 'target:url' 'visits:bigint' 'owner_key:uuid!'
everything 'a:string' 'b:text' 'c:integer' 'd:bigint' 'e:number' 'f:decimal' 'g:boolean' 'h:date' 'i:datetime' 'j:uuid' 'k:email' 'm:url' 'n:json' 'o:enum(one|two words|3)' 'p:ref=customer'
possibility 'a:string?' 'b:text?' 'c:integer?' 'd:bigint?' 'e:number?' 'f:decimal?' 'g:boolean?' 'h:date?' 'i:datetime?' 'j:uuid?' 'k:email?' 'm:url?' 'n:json?' 'o:enum(one|two)?' 'p:ref=customer?'
singularity 'a:string!' 'c:integer!' 'd:bigint!' 'e:number!' 'f:decimal(4,1)!' 'h:date!' 'i:datetime!' 'j:uuid!' 'k:email!' 'p:ref=item!'
group 'name:string#'
address 'street:string(1)' 'city:string?' 'resident:ref=customer?'
person 'given_name:string' 'family_name:string' 'born:date?' 'employer:ref=person?'
shift 'begins:datetime' 'duration:integer' 'substitute:ref=person' 'worker:ref=person'
staff 'code:string(2)!' --plural employees
invoice 'number:integer!' 'order:ref=order!' 'due:date#' 'paid:boolean' 'note:text(500)?'
"""
LINES = RESOURCES.strip().splitlines()

# Commands one after the other, in one process, each as `baseline` runs it.
CALL = """
import shlex, sys
from fastapi_baseline.cli import main
for line in sys.argv[1:]:
    try:
        main(shlex.split(line))
    except SystemExit as stop:
        print(f"[{stop.code}] {line}", flush=True)
"""
# What depends on the fields of a resource, for all of them; what is the same for each, for two.
TESTS = (
    "that_was_added or not_optional or is_taken or not_exist or is_wrong or _by_ or body_names "
    "or test_order_lines or test_employees"
)
LEFT_BY_TOOLS = {"__pycache__", ".pytest_cache", ".ruff_cache"}


def tree_of(root: Path) -> dict[str, bytes]:
    """Return the files of a service, without what its tools leave, which is ignored."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not LEFT_BY_TOOLS & set(path.parts)
        and path.suffix not in {".db", ".db-shm", ".db-wal"}
    }


@pytest.fixture(scope="module")
def call(run: Run, environment: Path) -> Call:
    """Give a function that runs commands in a service, and fails unless each ends as it should."""

    def call_commands(service: Path, *lines: str, code: int = 0) -> str:
        said = run(environment / "python", "-c", CALL, *lines, cwd=service)
        assert said.count(f"[{code}] ") == len(lines), said
        return said

    return call_commands


@pytest.fixture(scope="module")
def before() -> dict[str, bytes]:
    """Give the files of the service as they were."""
    return {}


@pytest.fixture(scope="module")
def service(
    render_for_session: Render,
    install: Callable[[Path], None],
    call: Call,
    before: dict[str, bytes],
) -> Path:
    """Give a service with all of the resources, the last of which has brought a migration."""
    folder = render_for_session("resource-service")
    install(folder)
    before.update(tree_of(folder))
    *lines, last = LINES
    added = [f"add resource {line} --no-migration" for line in lines]
    call(folder, *added, f"add resource {last}")
    return folder


def test_are_at_least_twenty(service: Path) -> None:
    domains = [path.name for path in (service / "src/resource_service/domains").glob("*/")]

    assert len(LINES) >= 20
    assert len(domains) == len(LINES) + len(["items"])


def test_pass_lint_and_need_no_formatting(service: Path, run: Run, environment: Path) -> None:
    run(environment / "ruff", "check", cwd=service)

    run(environment / "ruff", "format", "--check", cwd=service)


def test_pass_the_type_check(service: Path, run: Run, environment: Path) -> None:
    run(environment / "pyright", "--pythonpath", environment / "python", cwd=service)


def test_pass_their_own_tests(service: Path, run: Run, environment: Path) -> None:
    said = run(environment / "pytest", "-q", "-k", TESTS, cwd=service)

    assert "passed" in said
    assert "skipped" not in said


def test_migrate_up_and_down(service: Path, call: Call) -> None:
    (revision,) = (service / "alembic/versions").glob("*.py")

    call(service, "db upgrade", "db check", "db downgrade base")

    text = revision.read_text(encoding="utf-8")
    assert revision.name.endswith("_create_invoices.py")
    assert text.count("op.create_table(") == text.count("op.drop_table(") > len(LINES)


def test_are_passed_over_the_second_time(service: Path, call: Call) -> None:
    present = tree_of(service)

    said = call(service, *(f"add resource {line}" for line in LINES))

    assert said.count("there is nothing to do") == len(LINES)
    assert tree_of(service) == present


def test_are_removed_without_a_trace(service: Path, call: Call, before: dict[str, bytes]) -> None:
    last, *others = (line.split()[0] for line in reversed(LINES))

    # The last has the migration, which was taken back, and so is deleted with it; the others have
    # none by then. Who refers to others goes first.
    said = call(service, *(f"remove resource {name}" for name in (last, *others)))

    assert said.count("9 files deleted.") == 1
    assert said.count("8 files deleted.") == len(others)
    assert tree_of(service) == before
    assert not (service / "alembic/versions").exists()
    assert not (service / ".baseline").exists()


def test_are_dropped_by_a_migration_once_theirs_was_applied(
    render_for_session: Render,
    install: Callable[[Path], None],
    run: Run,
    call: Call,
    environment: Path,
) -> None:
    service = render_for_session("drop-service")
    install(service)
    call(service, "add resource note body:text 'item:ref=item?'")
    present = tree_of(service)

    behind = call(service, "add resource memo body:text", code=1)
    assert "baseline db upgrade Nothing was written" in behind
    assert tree_of(service) == present

    call(service, "db upgrade", "remove resource note")
    call(service, "db upgrade", "db check", "db downgrade base")
    run(environment / "ruff", "check", cwd=service)
    run(environment / "ruff", "format", "--check", cwd=service)
    assert [path.name[16:] for path in sorted((service / "alembic/versions").glob("*.py"))] == [
        "create_notes.py",
        "drop_notes.py",
    ]
    assert not (service / "src/drop_service/domains/notes").exists()

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.testing import free_port

MAIN = """\
from fastapi_baseline import Settings, create_app

app = create_app(Settings(service_name="echo"), configure_logging=False)
"""
TALKATIVE = """\
import logging

from fastapi_baseline import Settings, create_app

app = create_app(Settings(service_name="echo"))
logging.getLogger("echo").warning("This service says much while it is imported.")
"""
ENTRIES = {
    "orders:list": ("orders",),
    "orders:7": ("orders", "order:7"),
    "prices:list": (),
}

Ask = Callable[..., str]
Call = Callable[..., int]
CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cached(service: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a service that keeps three entries in Redis."""
    (service / "src/echo_service/main.py").write_text(MAIN, encoding="utf-8")
    (service / ".env").write_text(f"REDIS_URL={redis_url}\n", encoding="utf-8")
    monkeypatch.chdir(service)
    asyncio.run(_fill(redis_url))
    return service


async def _fill(url: str) -> None:
    now = SystemClock().now().timestamp()
    async with create_redis(url) as client:
        guard = GuardedRedis(client, deadline=timedelta(seconds=5), breaker=CircuitBreaker())
        store = RedisCacheStore(guard, namespace="echo")
        for key, tags in ENTRIES.items():
            entry = Entry(
                body=b"[]",
                stored_at=now,
                fresh_until=now + 60,
                stale_until=now + 60,
                error_until=now + 60,
                tags=tags,
            )
            claim = await store.claim(key, token="a test", tags=tags, lock_timeout_s=5)
            assert await store.put(key, entry, token="a test", claim=claim, ttl_s=60)


@pytest.fixture
def ask(
    cached: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Generator[Ask]:
    """Give a function that returns what `baseline cache` writes; it must succeed."""
    del cached
    monkeypatch.setattr(sys, "path", [*sys.path])

    def ask_command(*arguments: str) -> str:
        code = call("cache", *arguments)
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return said.out

    yield ask_command
    # Another test has another application of this name.
    for name in ("echo_service", "echo_service.main"):
        sys.modules.pop(name, None)


def keys(said: str) -> Sequence[str]:
    return [entry["key"] for entry in json.loads(said)["entries"]]


def test_shows_what_is_kept(ask: Ask) -> None:
    lines = ask("inspect").splitlines()

    assert [line.split()[0] for line in lines] == ["orders:7", "orders:list", "prices:list"]
    assert lines[0].endswith(" s  tags orders, order:7")
    assert "200  2 bytes  fresh for " in lines[2]


def test_writes_nothing_but_json_wherever_it_is_called_and_whatever_the_service_logs(
    cached: Path, call_process: CallProcess
) -> None:
    (cached / "src/echo_service/main.py").write_text(TALKATIVE, encoding="utf-8")

    result = call_process(["cache", "inspect", "--json"], cwd=cached / "src")

    assert (result.returncode, result.stderr) == (0, "")
    assert len(keys(result.stdout)) == len(ENTRIES)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--tag", "order:7"], ["orders:7"]),
        (["--tag", "nobody"], []),
        (["--key", "prices:list"], ["prices:list"]),
        (["--key", "prices:none"], []),
        (["--namespace", "orders"], ["orders:7", "orders:list"]),
        (["--namespace", "order"], []),
    ],
    ids=" ".join,
)
def test_shows_what_is_asked_for(arguments: list[str], found: list[str], ask: Ask) -> None:
    assert keys(ask("inspect", "--json", *arguments)) == found


def test_tells_programs_all_about_an_entry(ask: Ask) -> None:
    (entry,) = json.loads(ask("inspect", "--json", "--key", "orders:7"))["entries"]

    age, left = entry.pop("age_seconds"), entry.pop("fresh_seconds")
    assert entry == {
        "key": "orders:7",
        "state": "fresh",
        "status": 200,
        "bytes": 2,
        "tags": ["orders", "order:7"],
        "variants": [],
    }
    assert age + left == pytest.approx(60, abs=0.01)


def test_says_when_there_is_more_than_it_shows(ask: Ask) -> None:
    lines = ask("inspect", "--limit", "2").splitlines()
    document = json.loads(ask("inspect", "--limit", "2", "--json"))

    assert len(lines) == 3
    assert lines[2] == "There are more than these 2: see --limit."
    assert (len(document["entries"]), document["has_more"]) == (2, True)


def test_says_that_there_is_nothing(ask: Ask) -> None:
    assert ask("inspect", "--tag", "nobody") == "✓ There are no entries with the tag nobody.\n"


@pytest.mark.parametrize(
    ("arguments", "said", "left"),
    [
        (["--tag", "order:7"], "Purged: all entries with the tag order:7.", 2),
        (["--key", "prices:list"], "Purged: 1 entry with the key prices:list.", 2),
        (["--key", "prices:none"], "Purged: 0 entries with the key prices:none.", 3),
        (["--namespace", "orders"], "Purged: 2 entries of the namespace orders.", 1),
        (["--all"], "Purged: 3 entries.", 0),
    ],
    ids=str,
)
def test_purges_what_is_named_and_nothing_else(
    arguments: list[str], said: str, left: int, ask: Ask
) -> None:
    assert ask("purge", *arguments) == f"✓ {said}\n"

    assert len(keys(ask("inspect", "--json"))) == left


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(["--tag", "orders"], 2), (["--key", "prices:list"], 1), (["--all"], 3)],
    ids=str,
)
def test_only_counts_in_a_dry_run(arguments: list[str], count: int, ask: Ask) -> None:
    said = ask("purge", "--dry-run", *arguments)
    document = json.loads(ask("purge", "--dry-run", "--json", *arguments))

    assert said.startswith(f"✓ To be purged: {count} entr")
    assert (document["entries"], document["dry_run"]) == (count, True)
    assert len(keys(ask("inspect", "--json"))) == len(ENTRIES)


def test_tells_programs_what_it_has_purged(ask: Ask) -> None:
    by_tag = json.loads(ask("purge", "--json", "--tag", "order:7"))
    by_namespace = json.loads(ask("purge", "--json", "--namespace", "prices"))

    assert by_tag == {"tag": "order:7", "dry_run": False, "entries": None}
    assert by_namespace == {"namespace": "prices", "dry_run": False, "entries": 1}


async def test_tells_running_processes_what_they_must_forget(
    cached: Path, call_process: CallProcess, redis_url: str
) -> None:
    async with create_redis(redis_url) as client:
        guard = GuardedRedis(client, deadline=timedelta(seconds=5), breaker=CircuitBreaker())
        async with RedisCacheStore(guard, namespace="echo").listen() as messages:
            await asyncio.to_thread(call_process, ["cache", "purge", "--tag", "orders"], cwd=cached)

            heard = await _first(messages)

    assert heard.tags == ("orders",)
    assert not heard.is_everything


async def _first(messages: "AsyncGenerator[Invalidation | None]") -> Invalidation:
    async for message in messages:
        if message is not None:
            return message
    raise AssertionError("Nobody was told.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["purge"],
        ["purge", "--all", "--tag", "orders"],
        ["purge", "--key", "a", "--namespace", "b"],
        ["inspect", "--key", "a", "--tag", "b"],
        ["inspect", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_exits_with_2_when_it_is_not_clear_what_is_meant(
    arguments: list[str], cached: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del cached

    assert call("cache", *arguments) == 2

    assert "Error: " in capsys.readouterr().err


def test_says_that_nothing_can_be_reached_without_redis(
    cached: Path, call_process: CallProcess
) -> None:
    (cached / ".env").unlink()

    result = call_process(["cache", "inspect"], cwd=cached)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: REDIS_URL is not set: each process keeps a cache")
    assert len(result.stderr.splitlines()) == 1


def test_says_in_one_line_that_redis_does_not_answer(
    cached: Path, call_process: CallProcess
) -> None:
    (cached / ".env").write_text(
        f"REDIS_URL=redis://:a-secret@127.0.0.1:{free_port()}/0\n", encoding="utf-8"
    )

    result = call_process(["cache", "purge", "--all"], cwd=cached)

    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "Redis" in result.stderr
    assert "a-secret" not in result.stderr


def test_says_that_an_application_is_not_one_of_ours(
    service: Path, call_process: CallProcess
) -> None:
    result = call_process(["cache", "inspect"], cwd=service)

    assert result.returncode == 1
    assert result.stderr == (
        "Error: 'echo_service.main:app' has no cache of this library: "
        "it has not called create_app().\n"
    )


def test_says_that_an_application_cannot_be_found(cached: Path, call_process: CallProcess) -> None:
    result = call_process(["cache", "inspect", "--app", "nowhere:app"], cwd=cached)

    assert result.returncode == 1
    assert result.stderr.startswith("Error: 'nowhere:app' cannot be found.")

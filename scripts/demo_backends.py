"""The part of the demonstration about what needs not be done: a cache, limits, and their Redis."""

import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from demo_stage import Answer, Screen, Service, StepFailedError, exchange, wait_for

from fastapi_baseline.testing.redis import RedisProcess

CACHED = "/items?sort=name&limit=100"
LIMITED = ("POST", "/items")
# More than the limit of the route grants at once, so that it is reached.
MOST_ATTEMPTS = 200
CLIENTS = 4
LOAD_SECONDS = 1.5
REDIS_LOGGER = "fastapi_baseline.redis"
# Two times away and back; more only if the machine is so busy that Redis is late by itself.
MOST_LINES = 12


@dataclass(slots=True)
class Load:
    """What clients were answered that asked all the time."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    seconds: list[float] = field(default_factory=list[float])
    broken: list[str] = field(default_factory=list[str])

    def percentile(self, share: float) -> float:
        """Return what this share of all answers was faster than, in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[max(math.ceil(len(ordered) * share) - 1, 0)] * 1000


def show_cache(screen: Screen, service: Service) -> None:
    """Show an answer that is made once, sent again, not sent at all, and made anew."""
    made = exchange(screen, service, ("GET", CACHED), expected=200)
    _expect_cached(screen, made, is_hit=False)
    kept = exchange(screen, service, ("GET", CACHED), expected=200)
    _expect_cached(screen, kept, is_hit=True)
    if kept.body != made.body or kept.headers["etag"] != made.headers["etag"]:
        raise StepFailedError("What is kept should be what was made.")
    screen.done("It makes an answer once, and sends it again")
    tag = {"If-None-Match": kept.headers["etag"]}
    same = exchange(screen, service, ("GET", CACHED), headers=tag, expected=304)
    _expect_cached(screen, same, is_hit=True)
    screen.done("Whoever has it is told so")
    name = "Late lamp"
    exchange(screen, service, ("POST", "/items"), body={"name": name, "quantity": 1}, expected=201)
    anew = service.ask("GET", CACHED, headers=tag)
    screen.detail(f"GET {CACHED} If-None-Match: {tag['If-None-Match']}")
    screen.detail(f"  {anew.status}")
    _expect_cached(screen, anew, is_hit=False)
    if anew.status != HTTPStatus.OK or name not in [item["name"] for item in anew.body["items"]]:
        raise StepFailedError("The item that was stored should be in the list at once.")
    screen.done("A commit invalidates what it has changed: the new item is in the list at once")


def show_purge(screen: Screen, service: Service, baseline: Callable[..., str]) -> None:
    """Show what operators see of the cache, and how they have it forgotten."""
    service.ask("GET", CACHED)
    screen.detail("baseline cache inspect --tag items")
    listed = baseline("cache", "inspect", "--tag", "items")
    screen.detail(f"  {listed.strip()}")
    if "list_items" not in listed:
        raise StepFailedError("The list of items should be among what is kept.")
    screen.detail("baseline cache purge --tag items")
    screen.detail(f"  {baseline('cache', 'purge', '--tag', 'items').strip()}")
    anew = wait_for(lambda: found if "; hit" not in (found := _status_of(service)) else None)
    if anew is None:
        raise StepFailedError("What was purged should be made anew.")
    screen.detail(f"GET {CACHED}")
    screen.detail(f"  Cache-Status: {anew}")
    screen.done("What is purged in Redis is forgotten by the running process, too")


def _status_of(service: Service) -> str:
    return service.ask("GET", CACHED).headers.get("cache-status", "")


def _expect_cached(screen: Screen, answer: Answer, *, is_hit: bool) -> None:
    said = answer.headers.get("cache-status", "")
    screen.detail(f"  Cache-Status: {said}")
    if ("; hit" in said) is not is_hit:
        expected = "come from the cache" if is_hit else "be made"
        raise StepFailedError(f"The answer should {expected}; its Cache-Status is {said!r}.")


def show_limit(screen: Screen, service: Service) -> None:
    """Show a caller who asks too often."""
    for number in range(MOST_ATTEMPTS):
        body = {"name": f"Lamp {number}", "quantity": 1}
        answer = service.ask(*LIMITED, body=body)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            break
    else:
        raise StepFailedError(f"{MOST_ATTEMPTS} requests in a row should have been too many.")
    screen.detail(f"{' '.join(LIMITED)}, again and again")
    screen.detail(f"  {answer.status} after {number} more items")
    for header in ("RateLimit-Policy", "RateLimit", "Retry-After"):
        if header.lower() not in answer.headers:
            raise StepFailedError(f"The refusal should have the header {header}.")
        screen.detail(f"  {header}: {answer.headers[header.lower()]}")
    screen.detail(json.dumps(answer.body, indent=2))
    exchange(screen, service, ("GET", "/items?limit=1"), expected=200)
    screen.done("Whoever asks too often is told when to come back; other routes go on")


def show_outage(screen: Screen, service: Service, redis: RedisProcess) -> None:
    """Stop Redis under load: so that it says nothing, which hurts most, and so that it is gone."""
    screen.detail(f"{CLIENTS} clients ask all the time")
    asked = _report(screen, "Redis answers", _ask_for_a_while(service))
    screen.detail(f"kill -STOP {redis.pid}    # the process of Redis")
    redis.freeze()
    asked += _report(screen, "Redis says nothing", _ask_for_a_while(service))
    _expect_line(screen, service, saying="does not answer")
    screen.detail(f"kill -CONT {redis.pid}")
    redis.thaw()
    _expect_line(screen, service, saying="answers again")
    screen.detail(f"kill -KILL {redis.pid}")
    redis.kill()
    asked += _report(screen, "Redis is gone", _ask_for_a_while(service))
    _expect_line(screen, service, saying="does not answer")
    redis.restart()
    screen.detail(f"redis-server    # {redis.pid}, with nothing in it")
    _expect_line(screen, service, saying="answers again")
    asked += _report(screen, "Redis is back", _ask_for_a_while(service))
    lines = len(_lines_about_redis(service))
    if lines > MOST_LINES:
        raise StepFailedError(f"The log should say little of it, and has {lines} lines.")
    screen.done(
        f"Redis was stopped under load, twice: no request failed of {asked}, and the log has "
        f"{lines} lines"
    )


def _report(screen: Screen, when: str, load: Load) -> int:
    """Show how a load was answered, and return how many requests it was."""
    if load.broken or set(load.statuses) != {HTTPStatus.OK}:
        seen = ", ".join([*(str(status) for status in sorted(load.statuses)), *load.broken[:1]])
        raise StepFailedError(f"While {when}, each request should be answered; seen: {seen}.")
    fast, slow = load.percentile(0.5), load.percentile(0.99)
    screen.detail(
        f"  {when}: {len(load.seconds)} answers, all 200; half of them within {fast:.1f} ms, "
        f"99 of 100 within {slow:.1f} ms"
    )
    return len(load.seconds)


def _expect_line(screen: Screen, service: Service, *, saying: str) -> None:
    """Wait until the last line about Redis says something."""

    def look() -> str | None:
        lines = _lines_about_redis(service)
        return lines[-1] if lines and saying in lines[-1] else None

    found = wait_for(look)
    if found is None:
        raise StepFailedError(f"The log should say that Redis {saying}.")
    screen.detail(f"log: {found}")


def _lines_about_redis(service: Service) -> Sequence[str]:
    written = service.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in written if f'"{REDIS_LOGGER}' in line]


def _ask_for_a_while(service: Service) -> Load:
    """Ask for the cached list from several clients, each over one connection."""
    load, lock, until = Load(), threading.Lock(), time.monotonic() + LOAD_SECONDS

    def ask() -> None:
        mine = _ask_until(service, until)
        with lock:
            load.statuses.update(mine.statuses)
            load.seconds.extend(mine.seconds)
            load.broken.extend(mine.broken)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _ask_until(service: Service, until: float) -> Load:
    load = Load()
    connection = http.client.HTTPConnection(urlsplit(service.address).netloc, timeout=10)
    try:
        while time.monotonic() < until:
            started = time.monotonic()
            connection.request("GET", CACHED, headers={"Authorization": f"Bearer {service.token}"})
            response = connection.getresponse()
            response.read()
            load.seconds.append(time.monotonic() - started)
            load.statuses[response.status] += 1
    except OSError as error:
        load.broken.append(repr(error))
    finally:
        connection.close()
    return load

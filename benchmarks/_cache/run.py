"""The benchmark of the cache itself, in an environment that has the peers: `--quick` for a short run."""

import importlib.util
import sys
from contextlib import AbstractContextManager
from functools import partial

from benchmarks._cache.apps import (
    CACHE2,
    CACHE2_REDIS,
    CACHEX,
    L1,
    PARTS,
    PUBLIC,
    REDIS,
    STACK,
    STACK_L1,
    STACK_PUBLIC,
    UNCACHED,
    make,
)
from benchmarks._frozen import FROZEN_AIMS, freeze_under_load
from benchmarks._http.load import cores
from benchmarks._http.servers import Server, running
from benchmarks._http.service import PATH
from benchmarks._outcome import versions
from benchmarks._rounds import (
    BARE,
    PACKAGES,
    Contender,
    Effort,
    Findings,
    asked_of,
    cost_in_process,
    main,
    say,
    take_turns,
)
from benchmarks.peers.redis_servers import RedisProcess, redis_process

_COMPARED = {
    "l1_over_bare": (L1, BARE),
    "public_over_bare": (PUBLIC, BARE),
    "redis_over_bare": (REDIS, BARE),
    "l1_over_fastapi_cache2": (L1, CACHE2),
    "redis_over_fastapi_cache2": (REDIS, CACHE2_REDIS),
    "l1_over_uncached": (L1, UNCACHED),
    "l1_over_fastapi_cachex": (L1, CACHEX),
    "l1_over_bare_in_create_app": (STACK_L1, STACK),
    "public_over_bare_in_create_app": (STACK_PUBLIC, STACK),
}
_LEAST = {
    "l1_over_bare": 0.80,
    "public_over_bare": 2.0,
    "redis_over_bare": 0.45,
    "l1_over_fastapi_cache2": 3.0,
    "redis_over_fastapi_cache2": 3.0,
}
# A page of a list, of 3.3 kB; `bare` has it ready, and makes JSON of it.
_QUERY = f"part_count={PARTS}"
_TARGET = f"{PATH}?{_QUERY}"
_HIT = {"cache-status": "hit"}
_SHOWN = {
    BARE: {},
    UNCACHED: {},
    L1: _HIT,
    PUBLIC: _HIT,
    REDIS: _HIT,
    CACHE2: {"x-fastapi-cache": "HIT"},
    CACHE2_REDIS: {"x-fastapi-cache": "HIT"},
    CACHEX: {"age": ""},
    STACK: {},
    STACK_L1: _HIT,
    STACK_PUBLIC: _HIT,
}


def _run(effort: Effort) -> Findings:
    _, there = cores()
    with redis_process(core=there) as redis:
        measured = take_turns(_contenders(redis), effort)
        say("hits without a server")
        apps = {name: make(name, redis=None) for name in (BARE, UNCACHED, L1, PUBLIC, CACHE2)}
        figures = measured.figures() | cost_in_process(apps, query=_QUERY, blocks=effort.blocks)
        say("an outage")
        with _server(REDIS, redis) as service:
            figures |= freeze_under_load(service, redis, effort)
    return Findings(
        is_quick=effort.is_quick,
        versions=versions([*PACKAGES, "fastapi-cache2", "fastapi-cachex"]),
        loads=measured.loads,
        compared=_COMPARED,
        figures=figures,
        least={**_LEAST, asked_of(REDIS): 0.99},
        most=FROZEN_AIMS,
    )


def _server(name: str, redis: RedisProcess) -> AbstractContextManager[Server]:
    here, _ = cores()
    return running("benchmarks._cache.serve", name, "--redis", redis.url, core=here)


def _contenders(redis: RedisProcess) -> list[Contender]:
    missing: set[str] = set()
    if importlib.util.find_spec("fastapi_cachex") is None:
        print("fastapi-cachex is not installed here, and left out: use `nox -s bench -- cache`")
        missing = {CACHEX}
    return [
        Contender(
            name=name,
            server=partial(_server, name, redis),
            target=_TARGET,
            headers=headers,
            redis=redis if name in {REDIS, CACHE2_REDIS} else None,
        )
        for name, headers in _SHOWN.items()
        if name not in missing
    ]


if __name__ == "__main__":
    sys.exit(main(_run, name="cache", description=__doc__))

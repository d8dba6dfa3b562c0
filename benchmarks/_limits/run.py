"""The benchmark of the limits itself, in an environment that has the peers: `--quick` for a short run."""

import sys
from contextlib import AbstractContextManager
from functools import partial

from benchmarks._frozen import FROZEN_AIMS, freeze_under_load
from benchmarks._http.load import cores
from benchmarks._http.servers import Server, running
from benchmarks._http.service import QUERY
from benchmarks._limits import costs
from benchmarks._limits.apps import (
    LOCAL,
    REDIS,
    SLOWAPI,
    SLOWAPI_DECORATOR,
    SLOWAPI_DECORATOR_REDIS,
    SLOWAPI_REDIS,
    STACK,
    STACK_LOCAL,
    make,
)
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
    "local_over_bare": (LOCAL, BARE),
    "redis_over_bare": (REDIS, BARE),
    "local_over_slowapi": (LOCAL, SLOWAPI),
    "redis_over_slowapi": (REDIS, SLOWAPI_REDIS),
    "local_over_slowapi_decorator": (LOCAL, SLOWAPI_DECORATOR),
    "redis_over_slowapi_decorator": (REDIS, SLOWAPI_DECORATOR_REDIS),
    "local_over_bare_in_create_app": (STACK_LOCAL, STACK),
}
_LEAST = {
    "local_over_bare": 0.80,
    "redis_over_bare": 0.45,
    "local_over_slowapi": 2.0,
    "redis_over_slowapi": 2.0,
    "local_20000_over_100_keys": 0.80,
}
_MOST = {"bytes of a key in Redis, with a name of one byte": 48.0, **FROZEN_AIMS}
_ON_REDIS = {REDIS, SLOWAPI_REDIS, SLOWAPI_DECORATOR_REDIS}
_OURS, _PEERS = {"ratelimit": "r="}, {"x-ratelimit-remaining": ""}


def _run(effort: Effort) -> Findings:
    _, there = cores()
    with redis_process(core=there) as redis:
        measured = take_turns(_contenders(redis), effort)
        say("decisions")
        apps = {name: make(name, redis=None) for name in (BARE, LOCAL, SLOWAPI)}
        figures = measured.figures() | cost_in_process(apps, query=QUERY, blocks=effort.blocks)
        figures |= {**costs.local_costs(), **costs.redis_costs(redis)}
        say("an outage")
        with _server(REDIS, redis) as service:
            figures |= freeze_under_load(service, redis, effort)
    return Findings(
        is_quick=effort.is_quick,
        versions=versions([*PACKAGES, "slowapi", "limits"]),
        loads=measured.loads,
        compared=_COMPARED,
        figures=figures,
        least={**_LEAST, asked_of(REDIS): 0.99},
        most=_MOST,
    )


def _server(name: str, redis: RedisProcess) -> AbstractContextManager[Server]:
    here, _ = cores()
    return running("benchmarks._limits.serve", name, "--redis", redis.url, core=here)


def _contenders(redis: RedisProcess) -> list[Contender]:
    shown = {
        BARE: {},
        LOCAL: _OURS,
        REDIS: _OURS,
        SLOWAPI: _PEERS,
        SLOWAPI_REDIS: _PEERS,
        SLOWAPI_DECORATOR: _PEERS,
        SLOWAPI_DECORATOR_REDIS: _PEERS,
        STACK: {},
        STACK_LOCAL: _OURS,
    }
    return [
        Contender(
            name=name,
            server=partial(_server, name, redis),
            headers=headers,
            redis=redis if name in _ON_REDIS else None,
        )
        for name, headers in shown.items()
    ]


if __name__ == "__main__":
    sys.exit(main(_run, name="limits", description=__doc__))

"""Probes of what a cached answer says of itself, and of what a request may ask of a cache."""

import os
import re
import subprocess
import sys
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi_cache.decorator import cache as cache2

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    ENVIRONMENT,
    HISHEL,
    Cached,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen, probe

_ALL = (CACHE2, CACHEX, HISHEL)
_TAGGED = (CACHE2, CACHEX)
# RFC 9110, section 8.8.3.
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def _counted(peer: Cached) -> tuple[FastAPI, list[str]]:
    app, runs = FastAPI(), list[str]()

    @app.get("/")
    @peer.decorate
    async def handle(response: Response) -> dict[str, str]:
        runs.append("run")
        response.headers.update(peer.headers)
        return {"name": "thing"}

    return app, runs


async def _syntax(peer: str) -> Seen:
    """Look at the tag of an answer."""
    async with cached(peer) as ready:
        tag = (await get(_counted(ready)[0])).header("etag")
    digits = re.sub(r"-?\d+", "0", str(tag)) if peer == CACHE2 else tag
    return Seen(not _ENTITY_TAG.fullmatch(str(tag)), f"ETag: {digits}")


_PROCESS = """
import asyncio
from benchmarks.peers.cache_defects.headers import print_tag
asyncio.run(print_tag("{peer}"))
"""


async def print_tag(peer: str) -> None:
    """Print the tag of an answer, in a process of its own."""
    async with cached(peer) as ready:
        print((await get(_counted(ready)[0])).header("etag"))


async def _processes(peer: str) -> Seen:
    """Compare the tags of one body in two processes."""
    return _tags_of_processes(peer)


def _tags_of_processes(peer: str) -> Seen:
    tags = {
        subprocess.run(
            (sys.executable, "-W", "ignore", "-c", _PROCESS.format(peer=peer)),
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": seed},  # noqa: TID251 - as two workers have it
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    return Seen(len(tags) > 1, f"{len(tags)} tags of one body in 2 processes")


async def _forms(peer: str) -> Seen:
    """Ask for what has not changed, with the forms of `If-None-Match` that the standard has."""
    async with cached(peer) as ready:
        app, _runs = _counted(ready)
        tag = str((await get(app)).header("etag"))
        opaque = tag.removeprefix("W/")
        forms = {"list": f'"other", {tag}', "*": "*", "weak": f"W/{opaque}", "strong": opaque}
        seen = {name: (await get(app, if_none_match=form)).status for name, form in forms.items()}
    return Seen(set(seen.values()) != {304}, f"{seen}")


async def _revalidated(peer: str) -> Seen:
    """Ask with `no-cache` and the tag of what has not changed, as a browser does on reload."""
    async with cached(peer) as ready:
        app, _runs = _counted(ready)
        tag = str((await get(app)).header("etag"))
        status = (await get(app, if_none_match=tag, cache_control="no-cache")).status
    return Seen(status != 304, f"{status}")


async def _responses(peer: str) -> Seen:
    """Return a response of the handler's own, and look for its tag."""
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle() -> Response:
            return Response(b'{"name": "thing"}', media_type="application/json")

        answer = await get(app)
    return Seen(answer.header("etag") is None, f"{answer.status}, ETag: {answer.header('etag')}")


_DIRECTIVES = {
    # What a cache does that takes no notice of requests is allowed; half of it is not.
    "no-cache": "no-cache",
    "no-cache among others": "max-age=0, no-cache",
    "no-store": "no-store",
    "no-store among others": "no-store, max-age=0",
}


async def _directives(peer: str) -> Seen:
    """Compare directives alone with the same directives beside others."""
    ran: dict[str, bool] = {}
    for name, value in _DIRECTIVES.items():
        async with cached(peer) as ready:
            app, runs = _counted(ready)
            served = ready.behind(app)
            await get(served)
            await get(served, cache_control=value)
            ran[name] = len(runs) > 1
    is_whole = all(ran[name] == ran[f"{name} among others"] for name in ("no-cache", "no-store"))
    return Seen(not is_whole, f"asked past the cache: {ran}")


@probe("ages_of_answers", peer=CACHE2, environment=ENVIRONMENT)
async def ages_of_answers() -> Seen:
    """Cache without an end, and for no time at all."""
    seen: dict[str, list[str | None]] = {}
    for expire in (None, 0):
        async with cached(CACHE2):
            app = FastAPI()

            @app.get("/")
            @cache2(expire=expire)
            async def handle() -> str:
                return "done"

            controls = [(await get(app)).header("cache-control") for _ in range(2)]
        seen[f"expire={expire}"] = controls
    wrong = [text for each in seen.values() for text in each if not _is_age(text)]
    return Seen(bool(wrong), f"Cache-Control: {seen}")


def _is_age(control: str | None) -> bool:
    return control is None or not re.search(r"max-age=(?!\d+)", control)


async def _status(peer: str) -> Seen:
    """Look for what RFC 9211 and RFC 9111 say of a hit: `Cache-Status` and `Age`."""
    async with cached(peer) as ready:
        served = ready.behind(_counted(ready)[0])
        await get(served)
        hit = await get(served)
    seen = {name: hit.header(name) for name in ("cache-status", "age")}
    return Seen(None in seen.values(), f"{seen}")


for_each("syntax_of_tags", _TAGGED, _syntax)
for_each("tags_of_processes", _TAGGED, _processes)
for_each("forms_of_tags", _TAGGED, _forms)
for_each("revalidation", _TAGGED, _revalidated)
for_each("tags_of_responses", _TAGGED, _responses)
for_each("directives_of_requests", _ALL, _directives)
for_each("status_of_a_hit", _ALL, _status)

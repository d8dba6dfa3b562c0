"""The benchmark of authentication itself: `--quick` for a short run."""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from benchmarks._auth import costs, issuing, sign_ins, storm
from benchmarks._auth.apps import (
    ALGORITHMS,
    AUDIENCE,
    ES256,
    JOSERFC_ES256,
    JOSERFC_RS256,
    RS256,
    SCOPE,
    SESSION,
    SESSION_REDIS,
    SIGN_IN,
)
from benchmarks._http.load import cores
from benchmarks._http.servers import Server, get, running
from benchmarks._http.service import HEADERS, TARGET
from benchmarks._outcome import versions
from benchmarks._rounds import (
    BARE,
    PACKAGES,
    Contender,
    Effort,
    Findings,
    asked_of,
    main,
    say,
    take_turns,
)
from benchmarks.peers.redis_servers import RedisProcess, redis_process
from fastapi_baseline.testing import TokenIssuer

_COMPARED = {
    "rs256_requests_over_bare": (RS256, BARE),
    "es256_requests_over_bare": (ES256, BARE),
    "rs256_requests_over_joserfc_requests": (RS256, JOSERFC_RS256),
    "es256_requests_over_joserfc_requests": (ES256, JOSERFC_ES256),
    "session_requests_over_bare": (SESSION, BARE),
    "session_on_redis_requests_over_bare": (SESSION_REDIS, BARE),
}
# How many times as long as joserfc alone takes, and microseconds that a route takes more.
_MOST = {
    "rs256_over_joserfc": 1.4,
    "es256_over_joserfc": 1.4,
    costs.added_by(RS256): 90.0,
    costs.added_by(ES256): 160.0,
    costs.added_by(SESSION): 40.0,
    storm.FETCHES: 1.0,
    **sign_ins.AIMS,
}
_LEAST = {
    "storm_throughput": 0.95,
    storm.SENT: 0.95,
    asked_of(SESSION_REDIS): 0.99,
    **issuing.LEAST,
}
_STORMS = 3


def _run(effort: Effort) -> Findings:
    _, there = cores()
    with (
        redis_process(core=there) as redis,
        TokenIssuer.serving(audience=AUDIENCE, algorithm=RS256) as issuer,
    ):
        tokens = _tokens(issuer)
        servers = Servers(issuer=issuer, redis=redis)
        measured = take_turns(servers.contenders(tokens), effort)
        figures = measured.figures()
        say("without a server")
        figures |= costs.measure(issuer, tokens, blocks=effort.blocks)
        headers = _bearing(tokens[RS256])
        with servers.start(RS256, headers) as service:
            storms = 1 if effort.is_quick else _STORMS
            weather = storm.Weather(
                running=service,
                issuer=issuer,
                headers=headers,
                effort=effort,
                seconds=storm.LASTS if storms > 1 else effort.seconds,
            )
            figures |= weather.pass_by(rounds=storms)
        say("sign-ins")
        figures |= sign_ins.measure()
    figures |= issuing.measure(effort)
    return Findings(
        is_quick=effort.is_quick,
        versions=versions([*PACKAGES, "joserfc", "cryptography", "pwdlib", "argon2-cffi"]),
        loads=measured.loads,
        compared=_COMPARED,
        figures=figures,
        also_ratios=("storm_throughput",),
        stated=tuple(issuing.LEAST),
        least=_LEAST,
        most=_MOST,
    )


def _tokens(issuer: TokenIssuer) -> Mapping[str, str]:
    """Return a token for each algorithm, which lasts for the whole benchmark."""
    found: dict[str, str] = {}
    for algorithm in ALGORITHMS:
        if issuer.signing_key.algorithm != algorithm:
            issuer.rotate(algorithm=algorithm)
        found[algorithm] = issuer.mint(scopes=[SCOPE], lifetime=timedelta(hours=2))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Starts contenders, which all find the same issuer and the same Redis."""

    issuer: TokenIssuer
    redis: RedisProcess

    def start(
        self, name: str, headers: Mapping[str, str], *, ready: str = TARGET
    ) -> AbstractContextManager[Server]:
        """Run a contender until the end of the block."""
        here, _ = cores()
        options = ("--issuer", self.issuer.url, "--redis", self.redis.url)
        module = "benchmarks._auth.serve"
        return running(module, name, *options, core=here, ready=ready, headers=headers)

    def contenders(self, tokens: Mapping[str, str]) -> list[Contender]:
        """Return whose requests are compared."""
        asked = {
            BARE: _plain(),
            RS256: _bearing(tokens[RS256]),
            ES256: _bearing(tokens[ES256]),
            JOSERFC_RS256: _bearing(tokens[RS256]),
            JOSERFC_ES256: _bearing(tokens[ES256]),
        }
        with_headers = [
            Contender(
                name=name,
                server=partial(self.start, name, headers),
                sends=partial(_always, headers),
            )
            for name, headers in asked.items()
        ]
        with_session = [
            Contender(
                name=name,
                server=partial(self.start, name, _plain(), ready=SIGN_IN),
                sends=_signed_in,
                redis=self.redis if name == SESSION_REDIS else None,
            )
            for name in (SESSION, SESSION_REDIS)
        ]
        return [*with_headers, *with_session]


def _plain() -> Mapping[str, str]:
    """Return the headers of a client that does not say who it is."""
    return {name: HEADERS[name] for name in HEADERS if name != "Authorization"}


def _bearing(token: str) -> Mapping[str, str]:
    return {**_plain(), "Authorization": f"Bearer {token}"}


def _always(headers: Mapping[str, str], _server: Server) -> Mapping[str, str]:
    return headers


def _signed_in(server: Server) -> Mapping[str, str]:
    answered = get(f"{server.address}{SIGN_IN}", headers=_plain())
    return {**_plain(), "Cookie": answered["set-cookie"].partition(";")[0]}


if __name__ == "__main__":
    sys.exit(main(_run, name="auth", description=__doc__))

"""A storm: tokens with keys that nobody has, beside valid traffic, and what it costs that."""

import base64
import json
import math
import os
import secrets
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from urllib.parse import urlsplit

from benchmarks._http.load import Burst, LoadError, cores
from benchmarks._http.servers import Server
from benchmarks._http.service import TARGET
from benchmarks._rounds import Effort, say, send
from fastapi_baseline.settings.auth import TokenSettings
from fastapi_baseline.testing import TokenIssuer

_UNAUTHORIZED = 401
_KEYS = "/jwks"
_CONNECTIONS = 4
COOLDOWN = TokenSettings().keys_cooldown.total_seconds()
TOKENS, LASTS = 10_000, 2 * COOLDOWN
"""How many tokens a storm has, and for how many seconds it lasts."""


FETCHES = "fetches of the keys per cool-down, in a storm"
SENT = "share of a storm that has passed in its time"


@dataclass(slots=True, kw_only=True)
class Weather:
    """A service that answers valid traffic, through storms and without them."""

    running: Server
    issuer: TokenIssuer
    headers: Mapping[str, str]
    """What valid traffic is sent with."""
    effort: Effort
    seconds: float
    """How long each half of a round lasts."""
    calm_rps: list[float] = field(default_factory=list[float])
    storm_rps: list[float] = field(default_factory=list[float])
    planned: int = 0
    sent: int = 0
    """How many tokens there was time for, of those that were planned."""
    fetches: int = 0
    """How often the keys were fetched in all of the storms."""

    def pass_by(self, *, rounds: int) -> dict[str, float]:
        """Return how much of the throughput storms leave, and how often keys were fetched."""
        self._send(self.effort.warm_up)
        for number in range(rounds):
            say(f"a storm: {number + 1} of {rounds}")
            halves = (self._calm, self._storm)
            for half in halves if number % 2 == 0 else reversed(halves):
                half()
        shares = [rps / calm for rps, calm in zip(self.storm_rps, self.calm_rps, strict=True)]
        cooldowns = rounds * math.ceil(self.seconds / COOLDOWN)
        return {
            "storm_throughput": round(statistics.median(shares), 3),
            "valid requests/s without a storm": round(statistics.median(self.calm_rps), 1),
            "valid requests/s in a storm": round(statistics.median(self.storm_rps), 1),
            "tokens with unknown keys": self.sent,
            SENT: round(self.sent / self.planned, 3),
            FETCHES: round(self.fetches / cooldowns, 3),
        }

    def _send(self, seconds: float) -> Burst:
        return send(self.running, self.effort, seconds=seconds, headers=self.headers)

    def _calm(self) -> None:
        self.calm_rps.append(self._send(self.seconds).rps)

    def _storm(self) -> None:
        tokens = _unknown(self.issuer, round(TOKENS / LASTS * self.seconds))
        before = self.issuer.endpoints.count(_KEYS)
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            sending = [
                threads.submit(
                    _send_evenly, self.running, tokens[number::_CONNECTIONS], seconds=self.seconds
                )
                for number in range(_CONNECTIONS)
            ]
            self.storm_rps.append(self._send(self.seconds).rps)
            self.planned += len(tokens)
            self.sent += sum(one.result() for one in sending)
        self.fetches += self.issuer.endpoints.count(_KEYS) - before


def _unknown(issuer: TokenIssuer, count: int) -> Sequence[str]:
    """Return tokens that are as they should be, but for the names of their keys."""
    payload, signature = issuer.mint().split(".")[1:]
    return [
        f"{_encoded({'alg': 'RS256', 'typ': 'at+jwt', 'kid': secrets.token_hex(16)})}"
        f".{payload}.{signature}"
        for _ in range(count)
    ]


def _encoded(part: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _send_evenly(running: Server, tokens: Sequence[str], *, seconds: float) -> int:
    """Send tokens over one connection, spread over the time; return how many there was time for.

    Raises:
        LoadError: If one is not refused.
    """
    _, there = cores()
    # Of this thread alone.
    os.sched_setaffinity(0, {there})
    connection = HTTPConnection(urlsplit(running.address).netloc)
    started = time.monotonic()
    for number, token in enumerate(tokens):
        passed = time.monotonic() - started
        if passed > seconds:
            return number
        time.sleep(max(0.0, number / len(tokens) * seconds - passed))
        connection.request("GET", TARGET, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != _UNAUTHORIZED:
            raise LoadError(f"an unknown key is answered with {answer.status}")
    return len(tokens)

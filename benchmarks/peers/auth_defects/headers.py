"""Headers that no client should send, with a token that is good, and what was made of them."""

from collections.abc import Mapping

from fastapi import FastAPI

from benchmarks.peers.defects.probe import client

_REFUSED = {400, 401, 431}


async def answered_oddly(app: FastAPI, token: str, *, path: str) -> Mapping[str, int]:
    """Return how each request is answered."""
    good = f"Bearer {token}".encode()
    odd: dict[str, list[bytes]] = {
        "two headers": [good, b"Bearer other"],
        "two headers, the good one last": [b"Bearer other", good],
        "two tokens": [good + b" other"],
        "Basic": [b"Basic " + token.encode()],
        "scheme only": [b"Bearer"],
        "nothing": [b""],
        "not ASCII": ["Bearer \u00e9\u00e9".encode()],
        "not UTF-8": [b"Bearer \xff\xfe"],
        "100 kB": [b"Bearer " + b"a" * 100_000],
        "100 kB of spaces": [b"Bearer" + b" " * 100_000 + b"a"],
    }
    async with client(app) as asking:
        return {
            name: (
                await asking.get(path, headers=[(b"authorization", value) for value in values])
            ).status_code
            for name, values in odd.items()
        }


def judge_oddly(found: Mapping[str, int]) -> tuple[bool, str]:
    """Return whether one was let in, or made the service fail, and which."""
    others = {name: status for name, status in found.items() if status not in _REFUSED}
    return bool(others), f"not 400 or 401: {others}" if others else f"refused: all {len(found)}"

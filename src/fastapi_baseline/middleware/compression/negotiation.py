"""Which content coding a client takes (RFC 9110, section 12.5.3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

IDENTITY = "identity"

_ANY = "*"
_MOST_WIDELY_READ = "gzip"
# The older name of gzip, which must be understood (section 8.4.1.3).
_ALIASES = {"x-gzip": "gzip"}
_ELEMENT = re.compile(
    r"""([!#$%&'*+.^_`|~0-9a-z-]+)                       # a token (section 5.6.2)
        (?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?  # a weight (section 12.4.2)
    """,
    re.VERBOSE | re.ASCII,
)
# What browsers and libraries send is short, and the same again and again.
_LONGEST_REMEMBERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What a client takes, of the codings that are on offer.

    `coding` is the one it likes best, or `None` for the body as it is. `acceptable` are those that
    it can read, and `needs_coding` is whether it refuses the body as it is.
    """

    coding: str | None
    acceptable: frozenset[str]
    needs_coding: bool


def negotiate(values: Sequence[bytes], offered: tuple[str, ...]) -> Negotiated:
    """Return what the Accept-Encoding headers of a request say about `offered`, best first.

    A header that is not written as RFC 9110 says counts as one that names no coding: a client
    whose header nobody understands gets what every client can read.
    """
    if not values:
        # It may be sent anything (section 12.5.3), and who names nothing often reads nothing.
        return Negotiated(coding=None, acceptable=frozenset(offered), needs_coding=False)
    value = values[0] if len(values) == 1 else b",".join(values)
    decide = _remember if len(value) <= _LONGEST_REMEMBERED else _decide
    return decide(value, offered)


def _decide(value: bytes, offered: tuple[str, ...]) -> Negotiated:
    weights = parse_weights(value) or {}
    any_weight = weights.get(_ANY, 0.0)
    found = {coding: weights.get(coding, any_weight) for coding in offered}
    acceptable = frozenset(coding for coding, weight in found.items() if weight > 0)
    # The body as it is may be sent unless it is refused; it is preferred only if it is named.
    plain = weights.get(IDENTITY, weights.get(_ANY))
    best = max(
        offered,
        key=lambda coding: (found[coding], _preference(coding, weights)),
        default=None,
    )
    if best is None or found[best] == 0 or (plain is not None and plain > found[best]):
        best = None
    return Negotiated(
        coding=best, acceptable=acceptable, needs_coding=best is not None and plain == 0
    )


def _preference(coding: str, weights: Mapping[str, float]) -> int:
    """Rank codings that are liked the same; who names none is sent what everybody reads."""
    return 2 if coding in weights else 1 if coding == _MOST_WIDELY_READ else 0


_remember = lru_cache(maxsize=512)(_decide)


def parse_weights(value: bytes) -> Mapping[str, float] | None:
    """Return the weight of each coding that an Accept-Encoding header names, or `None`.

    `None` is a header that is not written as RFC 9110 says. Of a coding that is named twice, the
    lower weight counts.
    """
    weights: dict[str, float] = {}
    for element in value.decode("latin-1").lower().split(","):
        written = element.strip(" \t")
        if not written:
            continue
        match = _ELEMENT.fullmatch(written)
        if match is None:
            return None
        coding = _ALIASES.get(match[1], match[1])
        weight = 1.0 if match[2] is None else float(match[2])
        weights[coding] = min(weight, weights.get(coding, weight))
    return weights

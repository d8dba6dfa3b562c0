"""What JavaScript does with text and numbers, where an answer of json-server depends on it.

Sections are those of ECMA-262, 15th edition.
"""

import math
import re
from functools import lru_cache

_WHITE_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_LEADING_INTEGER = re.compile(r"[+-]?[0-9]+")
_LAST_OF_ASCII = 0x7F
_LAST_OF_ONE_UNIT = 0xFFFF


def to_number(text: str) -> float:
    """Return what `Number(text)` is, `nan` included (7.1.4.1)."""
    text = text.strip(_WHITE_SPACE)
    if not text:
        return 0.0
    if text in _INFINITE:
        return _INFINITE[text]
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        try:
            return float(int(text, 0))
        except OverflowError:
            return math.inf
    return math.nan


def parse_int(text: str) -> int | None:
    """Return what `parseInt(text, 10)` is, `None` standing for `NaN` (19.2.5)."""
    found = _LEADING_INTEGER.match(text.lstrip(_WHITE_SPACE))
    return int(found[0]) if found else None


def to_lower_case(text: str) -> str:
    """Return what `text.toLowerCase()` is (22.1.3.28); Python uses the same tables."""
    return text.lower()


def canonicalize(text: str) -> str:
    """Return the text as a regular expression with the flag `i` compares it (22.2.2.7.3).

    Unlike `str.upper` it keeps the length, never turns other letters into ASCII ones, and leaves
    alone what lies beyond the Basic Multilingual Plane.
    """
    if text.isascii():
        return text.upper()
    return "".join(map(_canonical, text))


@lru_cache(maxsize=4096)
def _canonical(character: str) -> str:
    upper = character.upper()
    if len(upper) != 1 or ord(character) > _LAST_OF_ONE_UNIT:
        return character
    if ord(character) > _LAST_OF_ASCII >= ord(upper):
        return character
    return upper

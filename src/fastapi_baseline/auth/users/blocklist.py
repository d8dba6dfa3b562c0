"""Passwords that everybody tries first (NIST SP 800-63B-4, section 3.1.1.2)."""

import re
from collections.abc import Iterable
from itertools import pairwise

from fastapi_baseline._extras import optional

with optional("zxcvbn", extra="auth"):
    from zxcvbn.matching import RANKED_DICTIONARIES

_LISTS = RANKED_DICTIONARIES
_NAMES = ("passwords", "english_wikipedia", "female_names", "male_names", "surnames")
_WORD = re.compile(r"[^\W\d_]+")
_MAX_UNIT = 4
_ROWS = (
    "01234567890",
    "09876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
)


def is_common(password: str, *, context: Iterable[str] = ()) -> bool:
    """Return whether a normalised password is one of those that are guessed first.

    It is so if all of it, in small letters, is on a list of stolen passwords, is a word of a
    language, a name or a word of the `context` with nothing but digits and signs around it, or is
    such a thing, a run of keys or up to four characters over and over. A part of it that is
    common does no harm: length is what counts.
    """
    folded = password.casefold()
    words = {word for text in context for word in _words_of(text)}
    return (
        _is_listed(folded)
        or _is_decorated_word(folded, words)
        or _is_repeated(folded, words)
        or _is_run(folded)
    )


def _words_of(text: str) -> list[str]:
    """Return the words of a name or an address, and the whole of it without what is between."""
    words = _WORD.findall(text.casefold())
    return [*words, "".join(words)]


def _is_listed(text: str) -> bool:
    return any(text in _LISTS[name] for name in _NAMES)


def _is_decorated_word(text: str, context: set[str]) -> bool:
    words = _WORD.findall(text)
    if not words:
        return False
    if all(word in context for word in words):
        return True
    joined = "".join(words)
    if joined in context or _is_repeated(joined, context):
        return True
    return len(words) == 1 and _is_listed(joined)


def _is_repeated(text: str, context: set[str]) -> bool:
    size = _period(text)
    unit = text[:size]
    return size < len(text) and (size <= _MAX_UNIT or _is_listed(unit) or unit in context)


def _period(text: str) -> int:
    """Return the length of the shortest text that, over and over, begins with all of this one.

    The last time it may be cut short, as in `1231231`. (Knuth, Morris and Pratt: in linear time.)
    """
    border = [0] * len(text)
    for at in range(1, len(text)):
        length = border[at - 1]
        while length and text[at] != text[length]:
            length = border[length - 1]
        border[at] = length + (text[at] == text[length])
    return len(text) - border[-1] if text else 0


def _is_run(text: str) -> bool:
    """Return whether each character follows the last one, in the alphabet or on a keyboard.

    One break for every eight characters is let pass: `abcdefghij12345` is two runs.
    """
    breaks = sum(not _follows(first, second) for first, second in pairwise(text))
    return breaks <= len(text) // 8


def _follows(first: str, second: str) -> bool:
    pair = first + second
    return any(pair in row or pair in row[::-1] for row in _ROWS)

"""The part of regular expressions that `_like` takes, as patterns of SQL's LIKE.

json-server hands the value of `_like` to JavaScript's `RegExp`. A database has no such thing, and
an expression of a stranger may take for ever; so this takes literal text, `^` at the start, `$` at
the end and `.*` anywhere, and refuses the rest.
"""

from patients.domains.patients.javascript import canonicalize

ESCAPE = "\\"
"""The escape character of the patterns made here."""

_SYNTAX = frozenset("^$.*+?()[]{}|\\")


class UnsupportedPatternError(ValueError):
    """The expression says more than literal text, `^`, `$` and `.*`."""


def like_containing(text: str) -> str:
    """Return the LIKE pattern of everything that contains `text`, whose case is kept."""
    return f"%{_escape(text)}%"


def like_matching(expression: str) -> str:
    r"""Return the LIKE pattern of what the expression matches, once that is canonicalized.

    A backslash makes the character after it literal (`\.`), unless that is a letter or a digit.

    Raises:
        UnsupportedPatternError: If the expression uses anything else.
    """
    body = expression.removeprefix("^")
    start = "" if body != expression else "%"
    parts = [start]
    position = 0
    while position < len(body):
        taken, pattern = _next(body[position : position + 2], is_last=position == len(body) - 1)
        parts.append(pattern)
        position += taken
    if not _ends_with_anchor(body):
        parts.append("%")
    return "".join(parts)


def _next(pair: str, *, is_last: bool) -> tuple[int, str]:
    """Return how many characters the next part takes, and its pattern."""
    character, following = pair[0], pair[1:]
    if pair == ".*":
        return 2, "%"
    if character == "\\" and following and not following.isalnum():
        return 2, _escape(following)
    if character == "$" and is_last:
        return 1, ""
    if character in _SYNTAX:
        raise UnsupportedPatternError(
            "takes literal text, ^ at the start, $ at the end and .* only; "
            f"write \\{character} for the character {character} itself"
        )
    return 1, _escape(canonicalize(character))


def _ends_with_anchor(body: str) -> bool:
    """Return whether the last character is `$`, and not one that a backslash makes literal."""
    before = body.removesuffix("$")
    backslashes = len(before) - len(before.rstrip("\\"))
    return before != body and backslashes % 2 == 0


def _escape(text: str) -> str:
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text

"""What a statement does, and its text without the values in it."""

import re
from functools import lru_cache
from typing import NamedTuple

OTHER = "_OTHER"
"""The operation of a statement that begins with none of the words in `OPERATIONS`."""

OPERATIONS = frozenset(
    """
    ALTER ANALYZE ATTACH BEGIN CALL CLOSE COMMENT COMMIT COPY CREATE DECLARE DELETE DETACH DO DROP
    EXECUTE EXPLAIN FETCH GRANT INSERT LISTEN LOCK MERGE MOVE NOTIFY PRAGMA REFRESH REINDEX RELEASE
    REPLACE REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW TRUNCATE UNLISTEN UPDATE VACUUM VALUES
    """.split()  # noqa: SIM905 -- one word a line would fill the page
)
"""What the name of an operation can be, so that their number is known beforehand."""

TRANSACTION_CONTROL = frozenset({"BEGIN", "COMMIT", "RELEASE", "ROLLBACK", "SAVEPOINT"})
"""What begins and ends transactions and savepoints."""

_LONGEST = 4096
_REMEMBERED = 512
_MOST_TABLES = 4

# Each alternative is linear, and a text that is cut off ends what is open.
_PIECE = re.compile(
    r"""
    (?P<identifier>"(?:[^"]|"")*(?:"|\Z))
    | (?P<comment>--[^\n]*+|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))
    | (?P<text>'(?:[^']|'')*(?:'|\Z))
    | (?P<dollars>\$(?P<tag>(?:[A-Za-z_]\w*+)?)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<number>(?<![\w$:.@?])\d[\w.]*+)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]+")
# The verb behind common table expressions; those inside of them stand in parentheses.
_VERB = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_TABLE = re.compile(
    r"(?<!\bFOR )(?<!\bDO )\b(?:(?P<read>FROM|JOIN)|INTO|UPDATE)\s+"
    r"(?P<name>(?:\"[^\"]*+\"|[A-Za-z_][\w$]*+)(?:\.(?:\"[^\"]*+\"|\w++))*)"
    r"(?(read)(?!\s*\())",  # Functions can be read from, too.
    re.IGNORECASE,
)


class Statement(NamedTuple):
    """A statement: its operation, what to call it, and its text with `?` in place of values."""

    operation: str
    summary: str
    text: str


def describe(statement: str) -> Statement:
    """Return what is known of a statement from its text, of which the first 4,096 characters count.

    Values that a text has in it are taken out, so that neither traces nor logs show them, and so
    that statements that differ only in them are the same. What was sent before is remembered.
    """
    if len(statement) > _LONGEST:
        return _describe(statement[:_LONGEST])
    return _remembered(statement)


def _describe(statement: str) -> Statement:
    text = " ".join(_without_values(statement).split())
    operation = _operation_of(text)
    names = (match["name"].replace('"', "") for match in _TABLE.finditer(text))
    tables = [] if operation in TRANSACTION_CONTROL else list(dict.fromkeys(names))
    return Statement(operation, " ".join((operation, *tables[:_MOST_TABLES])), text)


_remembered = lru_cache(maxsize=_REMEMBERED)(_describe)


def _without_values(statement: str) -> str:
    # Whether a backslash ends a text or not depends on the database and its settings.
    end = statement.find("'") if "\\" in statement else -1
    if end >= 0:
        return _PIECE.sub(_replace, statement[:end]) + "?"
    return _PIECE.sub(_replace, statement)


def _replace(match: re.Match[str]) -> str:
    if match["identifier"] is not None:
        return match[0]
    return " " if match["comment"] is not None else "?"


def _operation_of(text: str) -> str:
    found = _WORD.search(text)
    word = found[0].upper() if found else ""
    if word == "WITH":
        depth = _outside_of_parentheses(text)
        verb = _VERB.search(depth)
        word = verb[0].upper() if verb else "SELECT"
    return word if word in OPERATIONS else OTHER


def _outside_of_parentheses(text: str) -> str:
    kept: list[str] = []
    depth = 0
    for part in re.split(r"([()])", text):
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif depth == 0:
            kept.append(part)
    return " ".join(kept)

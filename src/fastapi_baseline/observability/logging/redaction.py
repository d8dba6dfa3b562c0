"""Which texts are secrets: by the name of the field that holds them, or by what they look like.

Every pattern is linear in the length of the text: repetitions are possessive or bounded, and start
only where a run of their characters starts.
"""

import re
from collections.abc import Collection, Iterable

REDACTED = "[redacted]"
"""What is written in the place of a secret."""

SECRET_NAMES = (
    "api key",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private key",
    "pwd",
    "secret",
    "token",
)
"""A field is secret if its name contains one of these: in any case, and with or without dashes,
dots, underscores or spaces between the words."""

_REMEMBERED_NAMES = 4096
_BETWEEN_WORDS = re.compile(r"[-_. ]+")

# What a text contains, in small letters, if one of the shapes below can match in it.
_SIGNS = (
    "://",
    "akia",
    "asia",
    "basic ",
    "bearer ",
    "eyj",
    "fbc_",
    "fbr_",
    "fbs_",
    "gho_",
    "ghp_",
    "ghs_",
    "github_pat_",
    "k_live_",
    "private key",
    "sk-",
    "xox",
)
_SHAPES = (
    # RFC 7515 and RFC 7516: parts in base64url, of which the first is an object of JSON.
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]*+)++"), REDACTED),
    (re.compile(r"(?i)\b(bearer) {1,8}[A-Za-z0-9._~+/=-]{16,}+"), rf"\1 {REDACTED}"),
    # RFC 7617. A word in small letters is prose: "basic authentication".
    (
        re.compile(r"\b([Bb]asic|BASIC) {1,8}(?=[a-z]{0,64}+[A-Z0-9+/=])[A-Za-z0-9+/=]{4,}+"),
        rf"\1 {REDACTED}",
    ),
    (
        re.compile(r"(?<=://)([^\s/:@?#\"']{0,256}+):[^\s/?#\"']{1,256}@"),
        rf"\1:{REDACTED}@",
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----"
            r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)"
        ),
        REDACTED,
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    (re.compile(r"\b(?:gh[ops]_|github_pat_)[A-Za-z0-9_]{20,}+"), REDACTED),
    # What the authorization server gives out: codes, refresh tokens, and secrets of clients.
    (re.compile(r"\bfb[crs]_[A-Za-z0-9_-]{20,}+"), REDACTED),
    (re.compile(r"\b(?:xox[abeoprs]-|[rs]k_live_|sk-)[A-Za-z0-9_-]{16,}+"), REDACTED),
)


class Redactor:
    """Tells secrets from the rest, and takes them out of texts."""

    def __init__(self, names: Collection[str] = ()) -> None:
        """Know `names` besides `SECRET_NAMES`: parts of the names of fields."""
        known = [_words(name) for name in (*SECRET_NAMES, *names)]
        self._names = tuple("".join(words) for words in known)
        self._verdicts: dict[str, bool] = {}
        self._signs = tuple(dict.fromkeys(words[-1] for words in known))
        self._patterns = (*_SHAPES, *_compile_pairs(known))

    def is_secret(self, name: str) -> bool:
        """Return whether a field of that name holds a secret."""
        verdict = self._verdicts.get(name)
        if verdict is None:
            folded = "".join(_words(name))
            verdict = any(part in folded for part in self._names)
            if len(self._verdicts) < _REMEMBERED_NAMES:
                self._verdicts[name] = verdict
        return verdict

    def is_suspicious(self, text: str) -> bool:
        """Return whether `redact` could change the text: cheap, and wrong only on the safe side."""
        lowered = text.lower()
        for sign in _SIGNS:  # Here, any() would take twice as long.
            if sign in lowered:
                return True
        if "=" in text or ":" in text:
            for sign in self._signs:
                if sign in lowered:
                    return True
        return False

    def redact(self, text: str) -> str:
        """Return the text with each secret in it replaced by `REDACTED`."""
        if self.is_suspicious(text):
            for pattern, replacement in self._patterns:
                text = pattern.sub(replacement, text)
        return text


def _words(name: str) -> list[str]:
    return _BETWEEN_WORDS.split(name.lower())


def _compile_pairs(names: Iterable[list[str]]) -> list[tuple[re.Pattern[str], str]]:
    """Return the patterns of a name with its value: `password=x`, `"token": "x"`, `Cookie: x`."""
    known = "|".join("[-_. ]?".join(map(re.escape, words)) for words in names)
    equals = r"[\"'\\]{0,4}+[ \t]{0,8}+[=:][ \t]{0,8}+(?!\[redacted\])"
    in_double = r"(\\?\")(?:[^\"\\]|\\[^\"]){0,2048}+"
    in_single = r"(\\?')(?:[^'\\]|\\[^']){0,2048}+"
    bare = r"[^\s\"'\\,;&)\]}]++"
    return [
        # All the rest of such a header is secret.
        (
            re.compile(rf"(?i)((?:cookie|authorization){equals}[\"'\\]{{0,4}}+)[^\r\n\"'\\]++"),
            rf"\1{REDACTED}",
        ),
        (
            re.compile(
                rf"(?i)((?:{known})[A-Za-z0-9_-]{{0,32}}+{equals})(?:{in_double}|{in_single}|{bare})"
            ),
            rf"\1\2\3{REDACTED}",
        ),
    ]

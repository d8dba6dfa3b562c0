"""Names of keys, which say whose they are, and keep together what is asked for together."""

from fastapi_baseline.errors import ConfigurationError

_QUOTED = str.maketrans({"%": "%25", ":": "%3A", "{": "%7B", "}": "%7D"})
_GLOB = str.maketrans({sign: f"\\{sign}" for sign in "\\*?[]^-"})


class KeySpace:
    """The keys of one feature of one service: `feature:format:namespace:{tag}:part:...`.

    Keys with the same tag are in the same slot of a cluster, so that one script or transaction may
    have several of them. `format` is the version of what is kept in them: a release that keeps
    something else does not read what an older one wrote.
    """

    __slots__ = ("_prefix", "pattern")

    pattern: str
    """What `SCAN` finds all keys of this space with."""

    def __init__(self, feature: str, *, format: int = 1, namespace: str = "service") -> None:  # noqa: A002 -- named as everywhere
        """Keep the keys apart from those of other features and services.

        Raises:
            ConfigurationError: If the namespace has braces, which would be taken for the tag.
        """
        prefix = f"{feature}:{format}:{namespace}:"
        if "{" in prefix or "}" in prefix:
            raise ConfigurationError(f"A namespace in Redis has no braces: {namespace!r}")
        self._prefix = prefix
        self.pattern = f"{prefix.translate(_GLOB)}*"

    def key(self, tag: str, *parts: str) -> str:
        """Return the name of a key; each part stands for itself, whatever characters it has.

        Raises:
            ValueError: If the tag is empty, and so none to a cluster.
        """
        if not tag:
            raise ValueError("The tag of a key is not empty.")
        key = f"{self._prefix}{{{_quote(tag)}}}"
        return ":".join((key, *map(_quote, parts))) if parts else key


def _quote(text: str) -> str:
    return text if text.isalnum() else text.translate(_QUOTED)

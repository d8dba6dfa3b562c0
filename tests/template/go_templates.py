"""As much of Helm as the chart of the template asks for; anything else is refused.

That is: actions `define`, `if`, `else`, `else if`, `with`, `range`, `end` and comments, fields,
variables of `range`, pipelines, and the functions below. Values are merged as Helm merges them. What
Helm does besides (hooks in order, look-ups in the cluster, what it does to releases) is not here.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

_TAG = re.compile(r"\{\{(?P<left>- )?(?P<code>.*?)(?P<right> -)?\}\}", flags=re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|:=|[|,()]|[^\s|,()"]+')
_COMMENT = re.compile(r"\s*/\*.*\*/\s*", flags=re.DOTALL)
_KINDS: Mapping[type, str] = {
    str: "string",
    bool: "bool",
    int: "float64",
    float: "float64",
    dict: "map",
    list: "slice",
}
_MOST = 1e6
_RANGE = re.compile(r"(\$\w+), (\$\w+) := (.+)")

Values = dict[str, Any]


class UnsupportedError(Exception):
    """The template asks for something that is not here."""


@dataclass
class _Block:
    """What stands between an action and its `end`."""

    kind: str
    asked: str = ""
    body: list["str | _Block"] = field(default_factory=list["str | _Block"])
    otherwise: list["str | _Block"] = field(default_factory=list["str | _Block"])
    # An `else if` is a block in `otherwise` that ends with this one.
    chained: bool = False


def render_chart(folder: Path, *, values: Values | None = None) -> list[Values]:
    """Return the manifests of a chart as a release with the name `shop` would have them.

    Raises:
        UnsupportedError: If a template uses what this does not know.
    """
    chart = yaml.safe_load((folder / "Chart.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    context = {
        "Values": merge(given, values or {}),
        "Chart": {name[0].upper() + name[1:]: value for name, value in chart.items()},
        "Release": {"Name": "shop", "Namespace": "default", "Service": "Helm"},
    }
    templates = sorted((folder / "templates").iterdir())
    parsed = {path.name: _parse(path.read_text(encoding="utf-8")) for path in templates}
    named = {
        block.asked.strip('"'): block
        for tree in parsed.values()
        for block in tree.body
        if isinstance(block, _Block) and block.kind == "define"
    }
    run = _Run(named, context)
    texts = [run.show(tree.body, context, {}) for name, tree in parsed.items() if name[0] != "_"]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def render_text(text: str, context: Values) -> str:
    """Return what one template says of a context."""
    return _Run({}, context).show(_parse(text).body, context, {})


def merge(given: Values, changes: Values) -> Values:
    """Return values with changes: sections are merged, and `None` takes a value away."""
    merged = dict(given)
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        elif isinstance(change, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], cast("Values", change))
        else:
            merged[name] = change
    return merged


def _parse(text: str) -> _Block:
    root = _Block("root")
    open_blocks = [root]
    into = root.body
    position = 0
    trim = False
    for tag in _TAG.finditer(text):
        plain = text[position : tag.start()]
        plain = plain.lstrip() if trim else plain
        into.append(plain.rstrip() if tag["left"] else plain)
        position, trim = tag.end(), tag["right"] is not None
        word, _, rest = tag["code"].strip().partition(" ")
        if _COMMENT.fullmatch(tag["code"]):
            continue
        if word in {"define", "if", "with", "range"}:
            block = _Block(word, rest.strip())
            into.append(block)
            open_blocks.append(block)
            into = block.body
        elif word == "else":
            into = open_blocks[-1].otherwise
            if rest:
                block = _Block("if", rest.strip().removeprefix("if "), chained=True)
                into.append(block)
                open_blocks.append(block)
                into = block.body
        elif word == "end":
            while open_blocks.pop().chained:
                pass
            parent = open_blocks[-1]
            into = parent.otherwise or parent.body
        else:
            into.append(_Block("show", tag["code"].strip()))
    if len(open_blocks) != 1:
        raise UnsupportedError(f"There is no end of {open_blocks[-1].kind} {open_blocks[-1].asked}")
    into.append(text[position:].lstrip() if trim else text[position:])
    return root


class _Run:
    def __init__(self, named: Mapping[str, _Block], root: Values) -> None:
        self._named = named
        self._root = root
        self._functions: dict[str, Callable[..., Any]] = {
            "default": _default,
            "include": self._include,
            "kindIs": _kind_is,
            "nindent": _nindent,
            "not": operator.not_,
            "quote": _quote,
            "toJson": json.dumps,
            "toYaml": _to_yaml,
        }

    def show(self, body: list[str | _Block], dot: object, names: Values) -> str:
        return "".join(
            part if isinstance(part, str) else self._block(part, dot, names) for part in body
        )

    def _block(self, block: _Block, dot: object, names: Values) -> str:
        if block.kind == "define":
            return ""
        if block.kind == "show":
            return _text(self._pipeline(block.asked, dot, names))
        if block.kind == "range":
            return self._range(block, dot, names)
        value = self._pipeline(block.asked, dot, names)
        if not value:
            return self.show(block.otherwise, dot, names)
        return self.show(block.body, value if block.kind == "with" else dot, names)

    def _range(self, block: _Block, dot: object, names: Values) -> str:
        named = _RANGE.fullmatch(block.asked)
        value = self._pipeline(named[3] if named else block.asked, dot, names) or ()
        if isinstance(value, dict):
            pairs = sorted(cast("Values", value).items())
        else:
            pairs = list(enumerate(cast("list[Any]", value)))
        if not pairs:
            return self.show(block.otherwise, dot, names)
        return "".join(
            self.show(block.body, item, names | ({named[1]: key, named[2]: item} if named else {}))
            for key, item in pairs
        )

    def _include(self, name: str, dot: object) -> str:
        return self.show(self._named[name].body, dot, {})

    def _pipeline(self, asked: str, dot: object, names: Values) -> Any:
        commands: list[list[str]] = [[]]
        for word in _WORD.findall(asked):
            if word == "|":
                commands.append([])
            else:
                commands[-1].append(word)
        given: list[Any] = []
        for name, *arguments in commands:
            values = [self._value(word, dot, names) for word in arguments] + given
            if name in self._functions:
                given = [self._functions[name](*values)]
            elif values:
                raise UnsupportedError(f"{name} is no function that is known here: {asked}")
            else:
                given = [self._value(name, dot, names)]
        return given[0]

    def _value(self, word: str, dot: object, names: Values) -> Any:
        if word[0] == '"' or re.fullmatch(r"-?\d+|true|false", word):
            return json.loads(word)
        first, *path = word.split(".")
        scopes = {"": dot, "$": self._root, **names}
        if first in scopes:
            found: Any = scopes[first]
            for name in filter(None, path):
                found = found.get(name) if found is not None else None
            return found
        raise UnsupportedError(f"{word} is nothing that is known here")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) or (isinstance(value, int | float) and abs(value) < _MOST):
        return str(value)
    # A large number is shown with an exponent, a list in brackets of Go's.
    raise UnsupportedError(f"{value!r} is shown as Go shows it, which is never meant")


def _default(fallback: object, value: object = None) -> object:
    return value or fallback


def _kind_is(kind: str, value: object) -> bool:
    return _KINDS.get(type(value)) == kind


def _nindent(width: int, text: str) -> str:
    return "\n" + re.sub("(?m)^", " " * width, text)


def _quote(value: object) -> str:
    return json.dumps(_text(value), ensure_ascii=False)


def _to_yaml(value: object) -> str:
    return yaml.safe_dump(value, allow_unicode=True).rstrip("\n")

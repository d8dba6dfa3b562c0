"""Two OpenAPI documents, one released and one of the next release: what callers would miss.

Compared are paths, methods, parameters, bodies, answers of success and who is let in. Not compared
are answers with errors, headers of answers, callbacks, links, webhooks and servers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi_baseline.app.released_api.schemas import (
    Break,
    Direction,
    Document,
    SchemaComparison,
    resolve,
)

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_SUCCESS = ("2", "3")
_BODY = "the body"

Node = Mapping[str, Any]
# How one says who one is: a way that HTTP knows, and what it must be good for.
_Ways = Mapping[tuple[str, ...], frozenset[str]]


def find_breaks(released: Document, current: Document) -> Sequence[str]:
    """Return what callers of a released API would miss in the current one, each in one sentence."""
    return [
        f"{operation}: {sentence}."
        for operation, sentence in _DocumentPair(released, current).all()
    ]


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of a document, with what its path says of all of them."""

    document: Document
    path: str
    node: Node
    item: Node

    def parameters(self) -> Mapping[tuple[str, str], Node]:
        """Return them by where they are and what they are called; those of the path by position."""
        found: dict[tuple[str, str], Node] = {}
        positions = {
            name[1:-1]: str(number) for number, name in enumerate(_PLACEHOLDER.findall(self.path))
        }
        for reference in [*self.item.get("parameters", ()), *self.node.get("parameters", ())]:
            parameter = resolve(reference, self.document)
            place, name = str(parameter.get("in")), str(parameter.get("name"))
            key = positions.get(name, name) if place == "path" else name
            found[place, key.lower() if place == "header" else key] = parameter
        return found

    def body(self) -> Node:
        """Return what is said of the body of requests; nothing if there is none."""
        return resolve(self.node.get("requestBody", {}), self.document)

    def answers(self) -> Mapping[str, Node]:
        """Return the answers of success, by status."""
        return {
            str(status): resolve(answer, self.document)
            for status, answer in _node(self.node, "responses").items()
            if str(status).startswith(_SUCCESS)
        }

    def ways_in(self) -> Sequence[_Ways]:
        """Return the ways to be let in; one that asks for nothing is open to everybody."""
        asked = self.node.get("security", self.document.get("security"))
        schemes = _node(_node(self.document, "components"), "securitySchemes")
        ways = cast("Sequence[Mapping[str, Sequence[str]]]", asked or [{}])
        return [
            {
                _kind_of(resolve(schemes.get(name, {}), self.document), name): frozenset(scopes)
                for name, scopes in way.items()
            }
            for way in ways
        ]


class _DocumentPair:
    def __init__(self, released: Document, current: Document) -> None:
        self._released = released
        self._current = current
        self._requests = SchemaComparison(released, current, Direction.REQUEST)
        self._responses = SchemaComparison(released, current, Direction.RESPONSE)

    def all(self) -> Iterator[tuple[str, str]]:
        """Give the operation and a sentence for each thing that is missed."""
        current = _operations(self._current)
        for key, old in _operations(self._released).items():
            label = f"{key[0].upper()} {old.path}"
            new = current.get(key)
            if new is None:
                yield label, "it is gone"
                continue
            for sentence in self._compare(old, new):
                yield label, sentence

    def _compare(self, old: _Operation, new: _Operation) -> Iterator[str]:
        yield from _compare_ways_in(old.ways_in(), new.ways_in())
        yield from self._compare_parameters(old, new)
        yield from self._compare_bodies(old.body(), new.body())
        after = new.answers()
        for status, answer in old.answers().items():
            if status not in after:
                yield f"it no longer answers {status}"
                continue
            place = f"the answer {status}"
            yield from self._compare_contents(answer, after[status], place=place)

    def _compare_parameters(self, old: _Operation, new: _Operation) -> Iterator[str]:
        before, after = old.parameters(), new.parameters()
        for key, parameter in before.items():
            name = f"the {key[0]} parameter {parameter.get('name')!r}"
            if key not in after:
                if key[0] != "path":
                    yield f"it no longer takes {name}"
                continue
            other = after[key]
            if other.get("required") and not parameter.get("required"):
                yield f"{name} is required"
            found = self._requests.find_breaks(_node(parameter, "schema"), _node(other, "schema"))
            yield from (_sentence(one, name) for one in found)
        for key, parameter in after.items():
            if key not in before and parameter.get("required") and key[0] != "path":
                yield f"the {key[0]} parameter {parameter.get('name')!r} is required"

    def _compare_bodies(self, old: Node, new: Node) -> Iterator[str]:
        if old and not new:
            yield "it no longer takes a body"
            return
        if new.get("required") and not old.get("required"):
            yield "a body is required"
        if old:
            yield from self._compare_contents(old, new, place=_BODY)

    def _compare_contents(self, old: Node, new: Node, *, place: str) -> Iterator[str]:
        comparison = self._requests if place == _BODY else self._responses
        before, after = _node(old, "content"), _node(new, "content")
        for kind, content in before.items():
            if kind not in after:
                yield f"{place} is no longer {kind}"
                continue
            found = comparison.find_breaks(_node(content, "schema"), _node(after[kind], "schema"))
            yield from (_sentence(one, place) for one in found)


def _operations(document: Document) -> Mapping[tuple[str, str], _Operation]:
    """Return them by method and path; what a part of a path is called does not count."""
    found: dict[tuple[str, str], _Operation] = {}
    for path, reference in _node(document, "paths").items():
        item = resolve(reference, document)
        for method in _METHODS:
            if method in item:
                operation = _Operation(document, path, _node(item, method), item)
                found[method, _PLACEHOLDER.sub("{}", path)] = operation
    return found


def _compare_ways_in(old: Sequence[_Ways], new: Sequence[_Ways]) -> Iterator[str]:
    for way in old:
        if any(_is_enough(way, asked) for asked in new):
            continue
        if not way:
            yield "it is no longer open to everybody"
        else:
            shown = " and ".join(
                " ".join([*kind, *sorted(scopes)]) for kind, scopes in sorted(way.items())
            )
            yield f"it no longer lets in whoever has: {shown}"


def _is_enough(given: _Ways, asked: _Ways) -> bool:
    return all(kind in given and scopes <= given[kind] for kind, scopes in asked.items())


def _kind_of(scheme: Node, name: str) -> tuple[str, ...]:
    match scheme.get("type"):
        case "http":
            return ("http", str(scheme.get("scheme", "")).lower())
        case "apiKey":
            return ("key", str(scheme.get("in")), str(scheme.get("name")))
        case "oauth2" | "openIdConnect":
            # Where the token comes from is nothing that a request shows.
            return ("http", "bearer")
        case _:
            return (name,)


def _sentence(found: Break, place: str) -> str:
    return f"{found.place!r} of {place} {found.what}" if found.place else f"{place} {found.what}"


def _node(parent: Node, key: str) -> Node:
    found = parent.get(key)
    return cast("Node", found) if isinstance(found, Mapping) else {}

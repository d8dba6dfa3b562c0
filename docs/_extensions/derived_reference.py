"""Pages of the reference that are derived from the code, so that they cannot differ from it.

When a build starts, this writes Markdown into `reference/_generated`; pages include it.
"""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import typer.main
from sphinx.application import Sphinx

import fastapi_baseline
from benchmarks import _auth_defects, _cache_defects, _defects, _http_defects, _limits_defects
from benchmarks._defects import Line, Outcome
from fastapi_baseline.cli.commands import app as command_line
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.problems import status_of, title_of
from fastapi_baseline.settings import DEFAULTS, Settings
from fastapi_baseline.settings.contract import Variable, find_sections, find_variables

# Messages that a client sees; the others are answered as `internal_error`.
_INTERNAL = 500
_CHART = "_static/data-benchmark.svg"
_CODE = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before the sources are read."""
    app.connect("builder-inited", _write_pages)
    # Before napoleon, which takes a colon in an attribute's sentence for the end of a type.
    app.connect("autodoc-process-docstring", _mark_code, priority=100)
    return {"parallel_read_safe": True}


def _mark_code(*event: Any) -> None:
    """Write `code` as reStructuredText does, in the lines of a docstring."""
    _, what, _, _, _, lines = event
    marked = [_CODE.sub(r"``\1``", line) for line in lines]
    has_blocks = what in {"class", "function", "module"}
    lines[:] = _with_literal_blocks(lines, marked) if has_blocks else marked


def _with_literal_blocks(lines: Sequence[str], marked: Sequence[str]) -> Iterator[str]:
    """Say that what is indented after an empty line is code, or a figure."""
    is_inside = False
    for number, line in enumerate(lines):
        is_indented = line.startswith("    ")
        if is_indented and not is_inside and not lines[number - 1]:
            yield from ("::", "")
            is_inside = True
        elif line and not is_indented:
            is_inside = False
        yield line if is_inside else marked[number]


def _write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference/_generated"
    folder.mkdir(exist_ok=True)
    pages = {
        "settings.md": _settings(),
        "defaults.md": _changes(),
        "errors.md": _errors(),
        "command-line.md": _commands(),
        "comparison.md": _comparison(Path(app.srcdir)),
        "http-comparison.md": _sides(Path(app.srcdir), _http_defects.LINES, "http-defects"),
        "limits-comparison.md": _sides(Path(app.srcdir), _limits_defects.LINES, "limits-defects"),
        "cache-comparison.md": _sides(Path(app.srcdir), _cache_defects.LINES, "cache-defects"),
        "auth-comparison.md": _sides(Path(app.srcdir), _auth_defects.LINES, "auth-defects"),
    }
    for name, lines in pages.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _settings() -> Iterator[str]:
    """Give the settings as definition lists, one for each section."""
    about = find_sections(Settings)
    for section, variables in groupby(find_variables(Settings), key=lambda one: one.section):
        if section:
            yield f"## `{section}…`"
            yield ""
            yield about[section]
            yield ""
        for variable in variables:
            yield f"`{variable.name}`"
            yield f": {variable.description}"
            yield f"  *{_kind(variable)}; default {_default(variable)}*"
            yield ""


def _kind(variable: Variable) -> str:
    """Return what to write into the variable, in words."""
    if variable.choices and variable.choices != ("true", "false"):
        return ", ".join(f"`{choice}`" for choice in variable.choices)
    return variable.kind


def _default(variable: Variable) -> str:
    if variable.is_required:
        return "none: it must be set"
    if variable.default is None:
        return "unset"
    return f"`{variable.default}`{' s' if variable.kind.startswith('seconds') else ''}"


def _changes() -> Iterator[str]:
    """Give the defaults that change at a date, or say that there are none yet."""
    if not DEFAULTS.changes:
        yield f"None has changed since {DEFAULTS.oldest}."
        return
    yield "| Since | Setting | Before | Then | Why |"
    yield "| --- | --- | --- | --- | --- |"
    for change in DEFAULTS.changes:
        cells = (change.since, f"`{change.variable}`", f"`{change.old}`", f"`{change.new}`")
        yield f"| {' | '.join(cells)} | {_plain(change.why)} |"


def _errors() -> Iterator[str]:
    yield "| Code | Status | Class | Meaning |"
    yield "| --- | --- | --- | --- |"
    public = (kind for kind in _all_errors() if not kind.__name__.startswith("_"))
    for kind in sorted(public, key=lambda kind: (_status(kind), kind.code)):
        status = _status(kind)
        meaning = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
        name = f"{kind.__module__}.{kind.__name__}"
        shown = f"`{kind.code}`" if status != _INTERNAL else f"`internal_error` ({kind.code})"
        yield f"| {shown} | {status} {title_of(status)} | {{py:class}}`~{name}` | {meaning} |"


def _status(kind: type[BaselineError]) -> int:
    # Without its constructor: some errors need to know what is wrong.
    return status_of(kind.__new__(kind))


def _all_errors() -> set[type[BaselineError]]:
    """Return every error of the library; its modules are imported, since errors live in them."""
    for module in pkgutil.walk_packages(fastapi_baseline.__path__, "fastapi_baseline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {BaselineError}
    waiting = [BaselineError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if kind.__module__.startswith("fastapi_baseline.") and kind not in found:
                found.add(kind)
                waiting.append(kind)
    return found


def _commands() -> Iterator[str]:
    yield from _command(typer.main.get_command(command_line), path="baseline", parent=None)


def _command(command: Any, *, path: str, parent: typer.Context | None) -> Iterator[str]:
    """Give the help of a command, as it prints it, and that of the commands below it."""
    context = typer.Context(
        command,
        info_name=path.rpartition(" ")[2],
        parent=parent,
        terminal_width=80,
        **command.context_settings,
    )
    yield f"## {path}"
    yield ""
    yield "```text"
    yield command.get_help(context)
    yield "```"
    yield ""
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _command(inner, path=f"{path} {name}", parent=context)


def _comparison(docs: Path) -> Iterator[str]:
    """Give what peers of the data layer were seen to do, and the chart of the benchmark."""
    contract, found = _defects.LINES, _outcomes(docs, "defects")
    yield from _matrix(contract, found)
    yield ""
    yield from _details(contract, found)
    if (docs / _CHART).exists():
        yield "### What it costs"
        yield ""
        yield "Drawn by `nox -s bench -- data --chart`, which names the versions in it."
        yield ""
        yield f"![Times of the data layer beside those of its peers](/{_CHART})"


def _sides(docs: Path, contract: Mapping[str, Line], name: str) -> Iterator[str]:
    """Give what peers were seen to do, who are many and each do only some of it."""
    found = _outcomes(docs, name)
    yield "| Line of the contract | Does it | Does not |"
    yield "| --- | --- | --- |"
    for key, line in contract.items():
        own = [outcome for outcome in found if outcome.line == key]
        does = sorted({outcome.peer for outcome in own if not outcome.has_defect})
        does_not = sorted({outcome.peer for outcome in own if outcome.has_defect})
        yield f"| {_plain(line.says)} | {_listed(does)} | {_listed(does_not)} |"
    yield ""
    yield "A library that is on neither side was not asked, or does no such thing."
    yield ""
    yield from _details(contract, found)


def _outcomes(docs: Path, name: str) -> Sequence[Outcome]:
    """Return what was seen, as `nox -s defects` has written it."""
    text = (docs.parent / f"benchmarks/peers/{name}.json").read_text(encoding="utf-8")
    return [Outcome(**found) for found in json.loads(text)]


def _details(contract: Mapping[str, Line], found: Sequence[Outcome]) -> Iterator[str]:
    yield "### What was seen"
    yield ""
    yield "Behind each line stands our test of it."
    yield ""
    for name, line in contract.items():
        outcomes = [outcome for outcome in found if outcome.line == name]
        if outcomes:
            yield f"**{_plain(line.says)}**: `{line.test.rpartition('::')[2]}`"
            yield ""
            yield from (f"- {_seen(outcome)}" for outcome in outcomes)
            yield ""
    yield "Seen with:"
    yield ""
    yield from sorted({f"- {_run_with(outcome)}" for outcome in found})
    yield ""


def _matrix(contract: Mapping[str, Line], found: Sequence[Outcome]) -> Iterator[str]:
    peers = sorted({_release(outcome) for outcome in found})
    yield f"| Line of the contract | {' | '.join(peers)} |"
    yield f"| --- |{' --- |' * len(peers)}"
    for name, line in contract.items():
        cells: list[str] = []
        for peer in peers:
            own = [one for one in found if (one.line, _release(one)) == (name, peer)]
            has_defect = any(outcome.has_defect for outcome in own)
            cells.append("—" if not own else "no" if has_defect else "yes")
        yield f"| {_plain(line.says)} | {' | '.join(cells)} |"
    yield ""
    yield '"Yes" means that the library does what the line says, "—" that it was not asked, or does no such thing.'


def _listed(names: Sequence[str]) -> str:
    return "<br>".join(names) or "—"


def _release(outcome: Outcome) -> str:
    return f"{outcome.peer} {outcome.versions[outcome.peer]}"


def _run_with(outcome: Outcome) -> str:
    return ", ".join(f"{name} {version}" for name, version in outcome.versions.items())


def _seen(outcome: Outcome) -> str:
    verdict = "no" if outcome.has_defect else "yes"
    return f"{_release(outcome)}, {verdict}: `` {outcome.observed} ``"


def _plain(text: str) -> str:
    """Return a text in which no character means anything to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)

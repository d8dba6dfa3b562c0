"""`baseline doctor`: how a service has drifted from its template, and whether it can be worked on."""

import importlib
import json
import platform
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi_baseline import __version__
from fastapi_baseline._extras import optional
from fastapi_baseline.cli.console import print_done, print_lines, print_notice, without_log
from fastapi_baseline.cli.project import enter_service, read_accepted_findings
from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.inspection import Finding
from fastapi_baseline.releases.answers import ANSWERS_FILE, read_answers
from fastapi_baseline.releases.drift import (
    FileState,
    ServiceFile,
    count_states,
    find_files,
    find_left_overs,
)
from fastapi_baseline.releases.ownership import Owner, read_ownership
from fastapi_baseline.releases.repository import is_newer, release_repository
from fastapi_baseline.releases.updating import open_work_tree

with optional("packaging", extra="cli"):
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

_NAME = "fastapi-baseline"
_OWNERS = {
    Owner.TEMPLATE: "Files of the template",
    Owner.SEAM: "Files of both",
    Owner.YOURS: "Files of yours",
}
_STATES = {
    FileState.SAME: "as made",
    FileState.EDITED: "edited",
    FileState.MISSING: "missing",
    FileState.ADDED: "added",
}


@dataclass(slots=True, kw_only=True)
class _Examination:
    """What is known of a service; what is not known is `None`."""

    template: str | None = None
    newest: str | None = None
    locked: str | None = None
    tools: Mapping[str, bool] = field(default_factory=dict[str, bool])
    files: Sequence[ServiceFile] = ()
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def has_update(self) -> bool:
        """Return whether there is a newer release than the one that the service is at."""
        return bool(self.template and self.newest and is_newer(self.newest, self.template))


def examine_service(start: Path, *, is_long: bool = False, is_json: bool = False) -> bool:
    """Say how the service that a folder lies in is; return whether nothing is wrong with it.

    Nothing is changed. Its settings are imported, and it connects to nothing.

    Raises:
        ConfigurationError: If there is no service, or it accepts something without a reason.
    """
    root = enter_service(start)
    accepted = read_accepted_findings(root)
    examination = _Examination()
    _examine_template(root, examination)
    _examine_lock(root, examination)
    _examine_tools(root, examination)
    with without_log():
        examination.findings += _find_unknown_names(root)
    wrong = [item for item in examination.findings if item.id not in accepted]
    if is_json:
        print_lines([json.dumps(_document(examination, accepted), ensure_ascii=False)])
        return not wrong
    print_lines(list(_describe(examination, is_long=is_long)))
    print_lines([f"{item.id}: {item.message}" for item in wrong])
    for name in dict.fromkeys(item.id for item in examination.findings if item.id in accepted):
        print_lines([f"{name} (accepted): {accepted[name]}"])
    if examination.has_update:
        print_notice(f"Release {examination.newest} is there: baseline update --plan")
    if not wrong:
        print_done("Nothing is wrong.")
    return not wrong


def _examine_template(root: Path, examination: _Examination) -> None:
    if not (root / ANSWERS_FILE).exists():
        # A service need not come from the template; then it has not drifted from it.
        return
    try:
        answers = read_answers(root)
        examination.template = answers.version
        with release_repository() as repository:
            examination.newest = repository.newest
            files = find_files(root, answers, repository, ownership=read_ownership())
    except ConfigurationError as error:
        examination.findings.append(
            Finding(
                id="template_unknown",
                what=_sentence(error.message),
                remedy="Until then, it can neither be compared with its template nor updated.",
            )
        )
        return
    examination.files = files
    examination.findings += _find_drift(root, files)


def _find_drift(root: Path, files: Sequence[ServiceFile]) -> Iterator[Finding]:
    for file in files:
        if file.owner is not Owner.TEMPLATE:
            continue
        if file.state is FileState.EDITED:
            yield Finding(
                id="template_file_edited",
                what=f"{file.path} is the template's, and was edited ({_lines(file.lines)}).",
                remedy="Undo that, and put what you need elsewhere, or updates will conflict.",
            )
        elif file.state is FileState.MISSING:
            yield Finding(
                id="template_file_missing",
                what=f"{file.path} is the template's, and is gone.",
                remedy="Bring it back, or what updates do to it never arrives.",
            )
    for path in find_left_overs(root, files):
        yield Finding(
            id="update_unfinished",
            what=f"{path} has what an update could not decide.",
            remedy="Decide it, and delete the marks, or the .rej file.",
        )


def _examine_lock(root: Path, examination: _Examination) -> None:
    path = root / "uv.lock"
    if not path.is_file():
        examination.findings.append(
            Finding(
                id="lock_missing",
                what="There is no uv.lock, so everybody who installs the service gets another one.",
                remedy="Make it, and commit it: uv lock",
            )
        )
        return
    try:
        packages: Sequence[Mapping[str, Any]] = _read_toml(path).get("package", ())
        found = [package.get("version") for package in packages if package.get("name") == _NAME]
    except (ConfigurationError, AttributeError, TypeError) as error:
        examination.findings.append(
            Finding(id="lock_unreadable", what=_sentence(str(error)), remedy="Write it: uv lock")
        )
        return
    examination.locked = str(found[0]) if found and found[0] else None
    if examination.locked not in {None, __version__}:
        examination.findings.append(
            Finding(
                id="library_not_as_locked",
                what=f"{_NAME} {__version__} is installed, and {examination.locked} is locked.",
                remedy="Install what is locked: uv sync",
            )
        )


def _examine_tools(root: Path, examination: _Examination) -> None:
    examination.tools = {name: shutil.which(name) is not None for name in ("git", "uv")}
    if not examination.tools["uv"]:
        examination.findings.append(
            Finding(
                id="uv_missing",
                what="uv is not on the path.",
                remedy="Install it: https://docs.astral.sh/uv/",
            )
        )
    try:
        open_work_tree(root)
    except ConfigurationError as error:
        examination.findings.append(
            Finding(
                id="git_not_ready",
                what=_sentence(error.message),
                remedy="Updates of the template need it.",
            )
        )
    asked = _read_toml(root / "pyproject.toml").get("project", {}).get("requires-python", "")
    running = platform.python_version()
    try:
        is_right = SpecifierSet(asked).contains(running, prereleases=True)
    except InvalidSpecifier:
        is_right = False
    if not is_right:
        examination.findings.append(
            Finding(
                id="python_not_supported",
                what=f"Python {running} runs this, and the service asks for {asked}.",
                remedy="Install it for another: uv sync --python VERSION",
            )
        )


def _find_unknown_names(root: Path) -> Iterator[Finding]:
    from fastapi_baseline.discovery import configured_package  # noqa: PLC0415 -- slow
    from fastapi_baseline.settings import Settings  # noqa: PLC0415 -- likewise
    from fastapi_baseline.settings.contract import (  # noqa: PLC0415 -- likewise
        find_unread,
        names_in_env_file,
    )

    path = root / ".env"
    if not path.is_file():
        return
    try:
        package = configured_package(root)
        has_own = find_spec(package) is not None and find_spec(f"{package}.settings") is not None
        module = importlib.import_module(f"{package}.settings") if has_own else None
        text = path.read_text(encoding="utf-8")
    except Exception as error:  # noqa: BLE001 -- it is code of the service's own
        said = error.message if isinstance(error, BaselineError) else str(error)
        yield Finding(
            id="settings_unknown",
            what=_sentence(f"What .env may say is not known. {said or type(error).__name__}"),
            remedy="Let the service's module settings be imported.",
        )
        return
    own: object = getattr(module, "Settings", None)
    kind = own if isinstance(own, type) and issubclass(own, Settings) else Settings
    for name in find_unread(names_in_env_file(text), kind):
        # Programs that are started with the service may be told something there, too.
        if name.is_meant:
            hint = f"Did you mean {name.closest}?" if name.closest else "Take it out."
            yield Finding(
                id="variable_unknown",
                what=f".env sets {name.name}, which nothing reads.",
                remedy=hint,
            )


def _document(examination: _Examination, accepted: Mapping[str, str]) -> Mapping[str, Any]:
    return {
        "versions": {
            "template": examination.template,
            "newest_template": examination.newest,
            "library": __version__,
            "locked_library": examination.locked,
            "python": platform.python_version(),
        },
        "tools": dict(examination.tools),
        "drift": count_states(examination.files),
        "files": [
            {"path": file.path, "owner": file.owner, "state": file.state, "lines": file.lines}
            for file in examination.files
        ],
        "findings": [
            {
                "id": item.id,
                "what": item.what,
                "remedy": item.remedy,
                "accepted": accepted.get(item.id),
            }
            for item in examination.findings
        ],
    }


def _describe(examination: _Examination, *, is_long: bool) -> Iterator[str]:
    locked = f", {examination.locked} locked" if examination.locked else ""
    yield f"Release of the template  {examination.template or 'none'}"
    yield f"fastapi-baseline         {__version__} installed{locked}"
    yield f"Python                   {platform.python_version()}"
    for owner, states in count_states(examination.files).items():
        counts = [f"{count} {_STATES[state]}" for state, count in states.items() if count]
        if counts:
            yield f"{_OWNERS[owner].ljust(23)}  {', '.join(counts)}"
    for file in examination.files:
        is_shared = file.owner is Owner.SEAM and file.state is not FileState.SAME
        if is_long or (is_shared and file.state is not FileState.ADDED):
            lines = f" ({_lines(file.lines)})" if file.lines else ""
            yield f"  {file.owner.value.ljust(8)}  {file.state.value.ljust(7)}  {file.path}{lines}"


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."

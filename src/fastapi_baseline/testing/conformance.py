"""`pytest --baseline`: what `baseline check` checks of a service, as tests of it.

They come with the library, so a new check reaches every service that has a newer version.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.app.checks import SERVICE_CHECKS
from fastapi_baseline.app.released_api import configured_document
from fastapi_baseline.discovery import configured_package
from fastapi_baseline.errors import ConfigurationError

with optional("pytest", extra="testing"):
    import pytest

_COLLECTOR = "baseline"
_MAKE = "from_parent"


class CheckFailedError(Exception):
    """A check has found something that is wrong, and not accepted."""


class ServiceChecks(pytest.Collector):
    """The checks of one service; they are made together, when the first of them is asked for.

    A process of its own imports the service: what tests have imported, and what they have set, is
    nothing that the service has.
    """

    root: Path
    is_deployment: bool
    _findings: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, session: pytest.Session, *, is_deployment: bool) -> "ServiceChecks":
        """Return the checks of the service that pytest was called in.

        Raises:
            UsageError: If there is no service.
        """
        # pytest makes nodes this way only, and does not say which arguments they take.
        make = cast("Callable[..., ServiceChecks]", getattr(cls, _MAKE))
        checks = make(session, name=_COLLECTOR, nodeid=_COLLECTOR)
        checks.root = session.config.rootpath
        checks.is_deployment = is_deployment
        return checks

    def collect(self) -> Iterator[pytest.Item]:
        """Give a test for each check that has something to look at."""
        try:
            configured_package(self.root)
            has_document = configured_document(self.root) is not None
        except ConfigurationError as error:
            raise pytest.UsageError(f"--baseline: {error.message}") from error
        has = {
            "deployment": self.is_deployment,
            "migrations": (self.root / "alembic").is_dir(),
            "openapi": has_document,
        }
        make = cast("Callable[..., ServiceCheck]", getattr(ServiceCheck, _MAKE))
        for name in SERVICE_CHECKS:
            if has.get(name, True):
                check = make(self, name=name)
                # So that `-k baseline::` chooses them all, and nothing else.
                check.extra_keyword_matches.add(f"{_COLLECTOR}::{name}")
                yield check

    def findings_of(self, check: str) -> Sequence[str]:
        """Return what a check has found and nobody has accepted, each in one line."""
        if self._findings is None:
            self._findings = self._run()
        return [
            f"{finding['id']}: {finding['what']} {finding['remedy']}"
            for finding in self._findings
            if finding["check"] == check and finding["accepted"] is None
        ]

    def _run(self) -> Sequence[Mapping[str, Any]]:
        options = ["--json", *(["--deploy"] if self.is_deployment else [])]
        result = subprocess.run(  # noqa: S603 -- this library, by the interpreter that runs it
            [sys.executable, "-m", "fastapi_baseline", "check", *options],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        # The service may say something, too, while it is imported.
        lines = result.stdout.strip().splitlines()
        if not lines or not lines[-1].startswith("{"):
            said = result.stderr.strip() or f"It ended with {result.returncode}."
            raise CheckFailedError(f"The service cannot be checked.\n{said}")
        return json.loads(lines[-1])["findings"]


class ServiceCheck(pytest.Item):
    """One check of a service."""

    def runtest(self) -> None:
        """Fail with what was found.

        Raises:
            CheckFailedError: If something is wrong.
        """
        assert isinstance(self.parent, ServiceChecks)  # noqa: S101 -- it makes no others
        found = self.parent.findings_of(self.name)
        if found:
            raise CheckFailedError("\n".join(found))

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,
    ) -> Any:
        """Return what was found, without the code that found it."""
        if isinstance(excinfo.value, CheckFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where this comes from: what says that the folder is a service."""
        return self.config.rootpath / "pyproject.toml", None, f"{_COLLECTOR}::{self.name}"

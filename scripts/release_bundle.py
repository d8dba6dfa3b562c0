"""Check the bundle of the template's releases, or add the template of the tree to it.

    python scripts/release_bundle.py [--extend-bundle]

A release of the template never changes: once the bundle has that of a version, another template
needs another version. The bundle is committed, so that building needs neither tags nor a network.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi_baseline import ConfigurationError, __version__
from fastapi_baseline.releases.bundle import copy_template, shipped_bundle, shipped_template
from fastapi_baseline.releases.repository import ReleaseRepository, bundle_repository, is_newer


def check_bundle(
    bundle: Path, template: Path, *, version: str = __version__, is_extended: bool = False
) -> str:
    """Return what is to be said about a bundle, which gets the release of a version if it is asked.

    Raises:
        ConfigurationError: If the template cannot be released under this version.
    """
    with bundle_repository(bundle) as repository:
        if version in repository.versions:
            if _has_changed(repository, version, template):
                message = (
                    f"The template differs from its release {version} in {bundle.name}, which never "
                    f"changes: set a newer __version__, and baseline_version in copier.yml."
                )
                raise ConfigurationError(message)
            return f"{bundle.name} has release {version}, as it is."
        if not is_newer(version, repository.newest):
            message = f"{version} is older than {repository.newest}, the newest in {bundle.name}."
            raise ConfigurationError(message)
        if not is_extended:
            return f"{bundle.name} does not have release {version} yet: --extend-bundle adds it."
        repository.publish(version, template)
        repository.save(bundle)
        return f"{bundle.name} has release {version} now. Commit it, and then tag."


def _has_changed(repository: ReleaseRepository, version: str, template: Path) -> bool:
    with TemporaryDirectory() as scratch:
        released, present = Path(scratch) / "released", Path(scratch) / "present"
        repository.export(version, released)
        copy_template(template, present)
        return _contents(released) != _contents(present)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extend-bundle", action="store_true", help="add this version's template")
    arguments = parser.parse_args()
    try:
        said = check_bundle(
            shipped_bundle(), shipped_template(), is_extended=arguments.extend_bundle
        )
    except ConfigurationError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{said}\n")

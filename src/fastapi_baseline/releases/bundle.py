"""What this version brings of the template: its own, and the bundle of the releases before it."""

import shutil
from pathlib import Path

from fastapi_baseline.errors import ConfigurationError

ADDRESS = "https://github.com/fastapi-baseline/fastapi-baseline.git"
"""Where the template is published: what the answers of each service say, and never change."""

_PACKAGE = Path(__file__).parents[1]
# In a checkout both lie at its root; a wheel has them in the package.
_CHECKOUT = _PACKAGE.parents[1]


def shipped_template() -> Path:
    """Return the folder that has the template of this version: `copier.yml` and `template/`.

    It may lie in a checkout, under version control: copier takes the last release of such a folder
    in its place, and must be given a copy.

    Raises:
        ConfigurationError: If the installation is not whole.
    """
    shipped = _PACKAGE / "_template"
    source = shipped if shipped.is_dir() else _CHECKOUT
    if not (source / "copier.yml").is_file():
        raise ConfigurationError(f"The template is missing from {_PACKAGE}: {_AGAIN}")
    return source


def shipped_bundle() -> Path:
    """Return the file that has the releases of the template: a git bundle, one tag for each.

    Raises:
        ConfigurationError: If the installation is not whole.
    """
    shipped = _PACKAGE / "_releases.bundle"
    bundle = shipped if shipped.is_file() else _CHECKOUT / "releases.bundle"
    if not bundle.is_file():
        raise ConfigurationError(f"The template's releases are missing from {_PACKAGE}: {_AGAIN}")
    return bundle


def copy_template(source: Path, folder: Path) -> None:
    """Copy `copier.yml` and `template/` of a folder to another, which does not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "copier.yml", folder / "copier.yml")
    ignored = shutil.ignore_patterns("__pycache__", "*.py[cod]", ".DS_Store")
    # Without their modes, which a wheel does not keep either.
    copy = shutil.copyfile
    shutil.copytree(source / "template", folder / "template", copy_function=copy, ignore=ignored)


_AGAIN = "install fastapi-baseline again."

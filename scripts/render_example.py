"""Render the service of whoever answers nothing into examples/default-service, where it is read.

python scripts/render_example.py
"""

import shutil
from pathlib import Path

import copier

from fastapi_baseline.cli.new import template_folder

EXAMPLE = Path(__file__).parents[1] / "examples/default-service"


def render(folder: Path) -> None:
    """Render the default service into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    with template_folder() as template:
        data = {"service_name": "order-service"}
        copier.run_copy(str(template), folder, data=data, defaults=True, quiet=True)


if __name__ == "__main__":
    render(EXAMPLE)

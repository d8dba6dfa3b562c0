import subprocess
import sys

import pytest

import fastapi_baseline


@pytest.mark.parametrize("name", fastapi_baseline.__all__)
def test_exports_what_it_names(name: str) -> None:
    assert getattr(fastapi_baseline, name) is not None


def test_lists_what_it_exports() -> None:
    assert set(fastapi_baseline.__all__) <= set(dir(fastapi_baseline))


def test_refuses_what_it_does_not_have() -> None:
    with pytest.raises(AttributeError, match="no attribute 'create_application'"):
        fastapi_baseline.create_application  # noqa: B018


def test_loads_no_framework_before_it_is_asked() -> None:
    code = "import sys, fastapi_baseline; sys.exit('fastapi' in sys.modules)"

    subprocess.run([sys.executable, "-I", "-c", code], check=True)

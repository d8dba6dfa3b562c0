"""How the documentation is built; warnings are errors there."""

import sys
from pathlib import Path

import fastapi_baseline

HERE = Path(__file__).parent
# The extension, and the results of benchmarks that it reads.
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

project = "fastapi-baseline"
author = "The fastapi-baseline authors"
release = version = fastapi_baseline.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "derived_reference",
]
exclude_patterns = ["_build", "changelog.d", "reference/_generated", "snippets"]
templates_path: list[str] = []

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
# Docstrings write code as `code`, as Markdown does.
default_role = "code"

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False

# Other libraries document their own names, and this build uses no network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!fastapi_baseline).*"),
    # Names in signatures that have no page: private ones, type variables and aliases.
    (r"py:.*", r"fastapi_baseline\.(.*\.)?_.*"),
    (r"py:.*", r"fastapi_baseline\.(.*\.)?(Condition|Hook|Load|Order|OrderBy|Plans|Where|\w+T)"),
    (r"py:.*", r"fastapi_baseline\.(.*\.)?(F|Function|Listener|T)"),
    (r"py:.*", r"fastapi_baseline\.persistence\.query\.operators\.(Operator|Parameter|Target)"),
    (r"py:.*", r"fastapi_baseline\.persistence\.scope\.Criteria"),
    (r"py:.*", r"fastapi_baseline\.testing\.runs\..*"),
    # Protocols and functions that stand in annotations, and bases that only exist to be derived.
    (r"py:.*", r"fastapi_baseline\.settings\.(tree\.SettingsTree|values\.upper)"),
    (r"py:.*", r"fastapi_baseline\.health\.dependencies\.get_availability"),
    (r"py:.*", r"fastapi_baseline\.auth\.api_keys\.dependencies\.get_api_keys"),
    (r"py:.*", r"fastapi_baseline\.auth\.dependencies\.get_principal"),
    (r"py:.*", r"fastapi_baseline\.auth\.(principals|users\.self_service)\.Annotated"),
    (r"py:.*", r"fastapi_baseline\.auth\.sessions\.routes\.require_session"),
    (r"py:.*", r"fastapi_baseline\.caching\.after_commit\.(Commits|Invalidates)"),
    (r"py:.*", r"fastapi_baseline\.caching\.(memory\.Record|single_flight\.Flights)"),
    (r"py:.*", r"fastapi_baseline\.caching\.forgetting\.Forgetting"),
    (r"py:.*", r"fastapi_baseline\.rate_limiting\.declarations\.(Declaration|LimitOwner)"),
    (r"py:.*", r"fastapi_baseline\.rate_limiting\.slowapi_limiter\..*"),
    (r"py:.*", r"fastapi_baseline\.rate_limiting\.middleware\.Limits"),
    (r"py:.*", r"fastapi_baseline\.observability\.logging\.output\.LineOutput"),
    (r"py:.*", r"fastapi_baseline\.observability\.tracing\.flushing\.Flushable"),
]

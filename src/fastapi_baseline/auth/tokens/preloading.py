"""What is loaded with the first token, or before it where nobody should wait.

These are the libraries for signatures and for HTTP. They take a tenth of the time in which a service
starts, and one that starts again and again, in development, may never need them.
"""

from importlib import import_module

_WITH_THE_FIRST_TOKEN = (
    "httpx2",
    "fastapi_baseline.auth.tokens.keys",
    "fastapi_baseline.auth.tokens.verification",
)


def preload() -> None:
    """Load now what the first token would have to wait for else."""
    for module in _WITH_THE_FIRST_TOKEN:
        import_module(module)

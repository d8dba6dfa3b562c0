"""What the access log says of the cache."""

from fastapi_baseline import context


def note_outcome(outcome: str) -> None:
    """Say in the access line of this request what the cache did."""
    current = context.current()
    if current is not None:
        current.fields["cache"] = outcome

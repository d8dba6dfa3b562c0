"""Levels that are changed while a service runs."""

import logging
from datetime import timedelta

from fastapi_baseline.observability import configure_logging
from fastapi_baseline.settings import LogSettings

# <start>
handle = configure_logging(LogSettings())


def look_closer() -> None:
    """Write what the shop does, for five minutes."""
    handle.levels.set("shop", "DEBUG", for_=timedelta(minutes=5))


# <end>


def test_the_level_is_changed_until_it_is_given_back() -> None:
    shop = logging.getLogger("shop")

    look_closer()
    is_changed = shop.isEnabledFor(logging.DEBUG)
    handle.levels.reset("shop")

    assert is_changed
    assert not shop.isEnabledFor(logging.DEBUG)

from collections import Counter

from fastapi_baseline.persistence import Repository

OVERRIDDEN = {
    "__doc__",
    "_narrows",
    "__init__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "session",
}


def test_its_parts_do_not_take_names_from_each_other() -> None:
    parts = [part for part in Repository.__mro__ if part.__module__.startswith("fastapi_baseline")]

    names = Counter(name for part in parts for name in vars(part))

    assert {name for name, times in names.items() if times > 1} <= OVERRIDDEN

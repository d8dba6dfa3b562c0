from collections import Counter

from fastapi_baseline.persistence import Repository

OVERRIDDEN = {"_narrows", "session"}


def test_its_parts_do_not_take_names_from_each_other() -> None:
    parts = [part for part in Repository.__mro__ if part.__module__.startswith("fastapi_baseline")]

    names = Counter(name for part in parts for name in vars(part) if not name.startswith("__"))

    assert {name for name, times in names.items() if times > 1} == OVERRIDDEN

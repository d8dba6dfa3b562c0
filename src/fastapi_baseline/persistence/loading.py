"""What comes along with an entity: load plans, by name or on the spot."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import raiseload
from sqlalchemy.sql.base import ExecutableOption

from fastapi_baseline.errors import ConfigurationError

LoadPlans = Mapping[str, Sequence[ExecutableOption]]
"""What comes along, by the name of the plan: `loads: ClassVar[LoadPlans] = {"detail": [...]}`."""

Load = str | ExecutableOption | Sequence[ExecutableOption]
"""The name of a plan that the repository declares in `loads`, or loader options."""

# A relationship that was not asked for is a mistake where it is read, and not a query for each row.
NOTHING_ELSE: ExecutableOption = raiseload("*")


def plan_of(
    load: Load | None, plans: LoadPlans, repository: type[Any]
) -> tuple[ExecutableOption, ...]:
    """Return the loader options that `load` means to a repository.

    Raises:
        ConfigurationError: If the repository has no plan of that name.
    """
    if load is None:
        return ()
    if isinstance(load, ExecutableOption):
        return (load,)
    if not isinstance(load, str):
        return tuple(load)
    if load not in plans:
        known = ", ".join(sorted(plans)) or "none"
        message = f"{repository.__name__} has no load plan {load!r}; in `loads` it has: {known}."
        raise ConfigurationError(message)
    return tuple(plans[load])

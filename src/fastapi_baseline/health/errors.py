"""What probes answer when they do not answer 200."""

from fastapi_baseline.errors import NotFoundError, UnavailableError


class NotAliveError(UnavailableError):
    """The process is beyond repair, and should be started again."""

    code = "not_alive"
    default_message = "The process is not alive."


class NotReadyError(UnavailableError):
    """A system that the service needs is not well."""

    code = "not_ready"
    default_message = "The service is not ready."


class DrainingError(NotReadyError):
    """The process is about to stop; others answer new requests."""

    code = "draining"
    default_message = "The service is shutting down."


class TrafficRefusedError(NotReadyError):
    """The code of the service has asked for no traffic."""

    code = "traffic_refused"
    default_message = "The service takes no traffic at the moment."


class UnknownHealthGroupError(NotFoundError):
    """There is no group of checks of that name."""

    code = "unknown_health_group"
    default_message = "There is no such group of checks."

"""What a provider says of itself (OpenID Connect Discovery, section 4), read again in a while."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.tokens.addresses import is_safe_address
from fastapi_baseline.auth.tokens.discovery import METADATA_MAX_AGE, metadata_urls
from fastapi_baseline.auth.tokens.fetching import Fetcher, FetchError
from fastapi_baseline.auth.tokens.flights import Flight
from fastapi_baseline.auth.tokens.pauses import Pauses
from fastapi_baseline.clock import Clock

logger = logging.getLogger("fastapi_baseline.auth.login")

METADATA_MAX_STALE = timedelta(hours=24)
"""How much longer metadata are believed if the provider does not answer."""

_LONGEST_PAUSE_S = 60.0


class BadMetadataError(Exception):
    """What a provider says of itself must not be believed; the message is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """Where a provider is asked for what; all behind TLS, or on this machine."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_url: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    names_issuer: bool = False
    """Whether its answers say whose they are (RFC 9207)."""
    auth_methods: frozenset[str] = frozenset({"client_secret_basic"})
    """How clients may prove who they are."""


class MetadataCache:
    """The metadata of one provider. One fetch is under way at a time."""

    def __init__(self, provider: Provider, fetcher: Fetcher, *, clock: Clock) -> None:
        """Ask with `fetcher` when they are first needed."""
        self._provider = provider
        self._fetcher = fetcher
        self._clock = clock
        self._found: ProviderMetadata | None = None
        self._fresh_until = 0.0
        self._usable_until = 0.0
        self._pauses = Pauses(clock, longest_s=_LONGEST_PAUSE_S)
        self._flight = Flight(self._fetch)

    async def get(self) -> ProviderMetadata:
        """Return the metadata, at most an hour old; a day more if the provider does not answer.

        Raises:
            ProviderUnavailableError: If there are none that may be believed.
        """
        now = self._clock.monotonic()
        if self._found is not None and now < self._fresh_until:
            return self._found
        if now >= self._pauses.until:
            await self._flight.wait()
        found, now = self._found, self._clock.monotonic()
        if found is None or now >= self._usable_until:
            pause_s = max(1.0, self._pauses.until - now)
            raise ProviderUnavailableError(retry_after=timedelta(seconds=pause_s))
        return found

    def doubt(self) -> None:
        """Fetch them again before they are next used: what they say has turned out to be wrong."""
        self._fresh_until = 0.0

    async def close(self) -> None:
        """Give up a fetch that is under way."""
        await self._flight.close()

    async def _fetch(self) -> None:
        issuer = self._provider.issuer
        try:
            answer = await self._fetcher.get(metadata_urls(issuer)[0])
            found = read_metadata(answer.document, self._provider)
        except FetchError as error:
            self._pauses.fail()
            logger.warning("The metadata of %s could not be fetched: %s", issuer, error)
        except BadMetadataError as error:
            # What was believed before is not believed any more either.
            self._found = None
            self._pauses.fail()
            logger.warning("The metadata of %s are refused: %s", issuer, error)
        except Exception:
            self._pauses.fail()
            logger.exception("The metadata of %s could not be fetched", issuer)
        else:
            self._pauses.succeed()
            self._found = found
            self._fresh_until = self._clock.monotonic() + METADATA_MAX_AGE.total_seconds()
            self._usable_until = self._fresh_until + METADATA_MAX_STALE.total_seconds()


def read_metadata(document: object, provider: Provider) -> ProviderMetadata:
    """Return what is needed of a document; nothing else of it gets any further.

    Raises:
        BadMetadataError: If it is that of somebody else, if it would have the service send what
            it must not, or if the provider does not know PKCE.
    """
    if not isinstance(document, dict):
        raise BadMetadataError("they are no JSON object")
    metadata = cast("dict[str, object]", document)
    if metadata.get("issuer") != provider.issuer:
        # To the letter (section 4.3): otherwise one provider could stand in for another.
        raise BadMetadataError("they are those of another issuer")
    if "code" not in _read_names(metadata, "response_types_supported", default=("code",)):
        raise BadMetadataError("the provider does not give codes")
    challenges = _read_names(metadata, "code_challenge_methods_supported")
    if "S256" not in challenges and not (provider.knows_pkce and not challenges):
        raise BadMetadataError("the provider does not say that it knows PKCE with S256")
    return ProviderMetadata(
        authorization_endpoint=_read_url(metadata, "authorization_endpoint", provider),
        token_endpoint=_read_url(metadata, "token_endpoint", provider),
        jwks_url=_read_url(metadata, "jwks_uri", provider),
        userinfo_endpoint=_find_url(metadata, "userinfo_endpoint", provider),
        end_session_endpoint=_find_url(metadata, "end_session_endpoint", provider),
        names_issuer=metadata.get("authorization_response_iss_parameter_supported") is True,
        auth_methods=_read_names(
            metadata, "token_endpoint_auth_methods_supported", default=("client_secret_basic",)
        ),
    )


def _read_url(metadata: dict[str, object], name: str, provider: Provider) -> str:
    url = _find_url(metadata, name, provider)
    if url is None:
        raise BadMetadataError(f"they have no {name}")
    return url


def _find_url(metadata: dict[str, object], name: str, provider: Provider) -> str | None:
    url = metadata.get(name)
    if url is None:
        return None
    if not isinstance(url, str) or not url.isascii() or not is_safe_address(url):
        raise BadMetadataError(f"their {name} is not behind TLS")
    if provider.issuer.startswith("https:") and not url.startswith("https:"):
        raise BadMetadataError(f"their {name} is on this machine")
    return url


def _read_names(
    metadata: dict[str, object], name: str, *, default: tuple[str, ...] = ()
) -> frozenset[str]:
    names = metadata.get(name)
    if names is None:
        return frozenset(default)
    listed = cast("list[object]", names) if isinstance(names, list) else []
    return frozenset(one for one in listed if isinstance(one, str))

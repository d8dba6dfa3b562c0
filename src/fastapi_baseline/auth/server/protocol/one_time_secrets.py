"""Secrets in the database that count once: found with their grant, and used up by one of all who try."""

from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import InstrumentedAttribute

from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.models import OAuthCode, OAuthGrant, OAuthRefreshToken
from fastapi_baseline.auth.server.protocol.exchange import Exchange, is_storable_secret

_Secret = TypeVar("_Secret", OAuthCode, OAuthRefreshToken)


class OneTimeSecrets(Generic[_Secret]):
    """Those of a table, whose statements are made once: that takes as long as to run them.

    Tokens of one grant are issued one after the other, and not while it ends: who waits here sees
    it as it is then. The secret itself is not locked, so that nobody waits in a circle with the one
    who removes a client, and all that it was granted, from the top.
    """

    def __init__(
        self, model: type[_Secret], *, used_at: InstrumentedAttribute[datetime | None]
    ) -> None:
        """Look into the table of `model`, where `used_at` says when one was used up."""
        self._find = (
            select(model, OAuthGrant)
            .join(OAuthGrant, OAuthGrant.id == model.grant_id)
            .where(model.digest == bindparam("sought"))
            .with_for_update(of=OAuthGrant)
        )
        self._consume = (
            update(model)
            .where(model.digest == bindparam("sought"), used_at.is_(None))
            .values({used_at: bindparam("now")})
            .returning(model.digest)
            .execution_options(synchronize_session=False)
        )

    def find(self, exchange: Exchange, text: str) -> tuple[_Secret, OAuthGrant] | None:
        """Return a secret and its grant, good or not, or `None` if it was never given out."""
        if not is_storable_secret(text):
            return None
        row = exchange.session.execute(self._find, {"sought": digest_of(text)}).first()
        return None if row is None else (row[0], row[1])

    def consume(self, exchange: Exchange, secret: _Secret) -> bool:
        """Use a secret up: one statement, which finds it unused or does not.

        Returns whether it has found it so.
        """
        values = {"sought": secret.digest, "now": exchange.now}
        return exchange.session.execute(self._consume, values).first() is not None

"""The public keys of one issuer of access tokens, in memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx
import jwt

from services.chassis.telemetry.logging import get_logger
from services.chassis.web.problems import Unauthenticated, Unavailable

SIGNATURE_ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256"})
"""The allowed types of published keys; each is asymmetric."""
REFRESH_AFTER_SECONDS = 300.0
RETRY_AFTER_SECONDS = 5.0
FETCH_TIMEOUT_SECONDS = 3.0

# Where the keys come from: a JWKS URL, the key set itself, or a callable that returns it.
JwksSource = str | Mapping[str, Any] | Callable[[], Awaitable[Mapping[str, Any]]]

_log = get_logger(__name__)


class IssuerKeys:
    """The keys of a JWKS by their ids.

    They are fetched once, refreshed in the background every five minutes, and again when a token names an unknown
    key; never more than once in five seconds. While the source is down, known keys still verify tokens.
    """

    def __init__(self, source: JwksSource, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`source`: where the keys come from; `clock` returns seconds, for the times of refreshes."""
        self._source = source
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._refresh: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> jwt.PyJWK:
        """The key of this id; raises Unauthenticated when there is none, Unavailable when none was ever fetched."""
        if key_id not in self._keys:
            # The request's deadline ends its wait, not the fetch that others need too.
            await asyncio.shield(self._fetching())
        elif self._clock() - self._fetched > REFRESH_AFTER_SECONDS:
            self._fetching()
        if key_id in self._keys:
            return self._keys[key_id]
        if not self._keys:
            raise Unavailable("Access tokens cannot be verified now: the signing keys could not be fetched.")
        raise Unauthenticated("The access token is signed by an unknown key.", error="invalid_token")

    def _fetching(self) -> asyncio.Task[None]:
        """The fetch that is under way, or a new one."""
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._fetch(), name="jwks-refresh")
            self._refresh.add_done_callback(self._refreshed)
        return self._refresh

    async def _fetch(self) -> None:
        if self._clock() - self._tried < RETRY_AFTER_SECONDS:
            return
        self._tried = self._clock()
        try:
            document = await self._load()
            self._keys = {str(key.key_id): key for key in _signing_keys(document["keys"])}
            self._fetched = self._clock()
        except (
            httpx.HTTPError,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            Unavailable,
        ) as error:
            _log.warning("signing keys could not be fetched", error=str(error), known=len(self._keys))

    async def _load(self) -> Mapping[str, Any]:
        if isinstance(self._source, Mapping):
            return self._source
        if not isinstance(self._source, str):
            return await self._source()
        async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS) as client:
            response = await client.get(self._source)
            response.raise_for_status()
            document: Mapping[str, Any] = response.json()
            return document

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refresh = None


def _signing_keys(documents: Iterable[Mapping[str, Any]]) -> Iterator[jwt.PyJWK]:
    for document in documents:
        # A key set may have keys for other purposes; a key for encryption must not verify signatures.
        if document.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(dict(document))
        except jwt.PyJWTError as error:
            # Of a type that this library does not know: the others count.
            _log.warning("a published key cannot be used", error=str(error))
            continue
        # Never a shared secret: whoever can verify with it can also sign with it.
        if key.algorithm_name in SIGNATURE_ALGORITHMS:
            yield key

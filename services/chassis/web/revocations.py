"""The sessions that ended before their tokens expire: a list that is polled from the issuer."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.metrics import REVOCATIONS_AGE
from services.chassis.web.problems import Unavailable

POLL_SECONDS = 2.0
"""Together with the response time, well below the 5 s within which an ended session must be refused everywhere."""
FIRST_POLL_SECONDS = 0.2
"""The shorter interval until the first list arrives: no token is accepted before that."""
FETCH_TIMEOUT_SECONDS = 1.5
# The flag 00 (not sampled): nobody needs a trace of a poll every two seconds from each process.
_UNSAMPLED = "00-00000000000000000000000000000001-0000000000000001-00"

_log = get_logger(__name__)


class Revocations:
    """The ended sessions of one issuer, as of the last poll.

    While the issuer does not answer, the last list stays in use: exposure is then at most the lifetime of a token.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The list is fetched at the first use or by `keep`.

        Args:
            url: where the issuer publishes the list: a JSON object whose `sids` are session ids, with an ETag.
            transport: replaces the network.
            clock: returns seconds, for the list's age.
        """
        self._url = url
        self._transport = transport
        self._clock = clock
        self._ended: frozenset[UUID] | None = None
        self._etag: str | None = None
        self._confirmed = clock()
        self._tried = float("-inf")
        self._failing = False
        self._lock = asyncio.Lock()
        REVOCATIONS_AGE.labels(urlsplit(url).hostname or url).set_function(self.age_seconds)

    def age_seconds(self) -> float:
        """For how many seconds the issuer has not confirmed the list."""
        return self._clock() - self._confirmed

    async def has_ended(self, session_id: UUID) -> bool:
        """Whether the session has ended; raises Unavailable when no list was ever fetched."""
        if self._ended is None:
            async with self._lock:
                # While the issuer is down, callers must not wait here in turn, one timeout each.
                if self._ended is None and self._clock() - self._tried >= FIRST_POLL_SECONDS:
                    async with self._client() as client:
                        await self._refresh(client)
        if self._ended is None:
            raise Unavailable(
                "Access tokens cannot be verified now: the ended sessions could not be fetched."
            )
        return session_id in self._ended

    async def keep(self) -> None:
        """Poll the list until cancelled."""
        async with self._client() as client:
            while True:
                async with self._lock:
                    await self._refresh(client)
                await asyncio.sleep(FIRST_POLL_SECONDS if self._ended is None else POLL_SECONDS)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, transport=self._transport)

    async def _refresh(self, client: httpx.AsyncClient) -> None:
        headers = {"traceparent": _UNSAMPLED} | ({"If-None-Match": self._etag} if self._etag else {})
        try:
            response = await client.get(self._url, headers=headers)
            if response.status_code != httpx.codes.NOT_MODIFIED:
                response.raise_for_status()
                self._ended = _sids(response.json())
                self._etag = response.headers.get("ETag")
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            # Log it once, not at every poll: the metric shows for how long.
            if not self._failing:
                _log.warning(
                    "ended sessions could not be fetched; the last list stays in use",
                    error=type(error).__name__,
                )
            self._failing = True
            # The time of the failure, not of the start: otherwise each waiting caller would wait for its own timeout.
            self._tried = self._clock()
            return
        if self._failing:
            _log.info("ended sessions are fetched again")
        self._failing = False
        self._confirmed = self._clock()


def _sids(document: Any) -> frozenset[UUID]:
    return frozenset(UUID(sid) for sid in document["sids"])

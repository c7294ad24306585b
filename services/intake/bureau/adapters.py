"""The bureaus that can be asked: one by HTTP, and one that makes its answers up."""

import asyncio
import hmac
from typing import Protocol

import httpx
import orjson

from services.chassis.deadline import ends_in
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.http import IDEMPOTENCY_HEADER, HttpClient, ServerUnavailable
from services.chassis.web.input.strict import reference_key
from services.intake.bureau.domain import Outcome, Person

_TRY_LATER = frozenset({408, 425, 429})
_REFUSALS = frozenset({400, 422})
"""Statuses by which the bureau says of a request that it has read it and finds no sense in it."""

_log = get_logger(__name__)


class BureauSilent(Exception):
    """The bureau did not answer, or said that it cannot at the moment."""


class Bureau(Protocol):
    """A credit bureau."""

    name: str
    """What reports are kept under."""

    async def ask(self, person: Person, key: str) -> str:
        """Its answer about a person, as it came; raises BureauSilent. Repeated with one `key`, it is one inquiry."""

    async def aclose(self) -> None:
        """Close its connections."""


class SimulatedBureau:
    """Answers computed from a keyed hash of the national id: the same person always has the same answer."""

    name = "simulated"

    def __init__(self, key: str) -> None:
        """`key`: with another one the same people have other answers."""
        self._key = key.encode()

    async def ask(self, person: Person, key: str) -> str:
        """Of a hundred people 90 are found and 6 are not; of 4 it is not sure."""
        del key
        digest = hmac.digest(self._key, reference_key(person.national_id or "").encode(), "sha256")
        share, score, loans, late = (int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8, 12))
        if share % 100 >= 96:
            return orjson.dumps({"outcome": Outcome.INCONCLUSIVE, "simulated": True}).decode()
        if share % 100 >= 90:
            return orjson.dumps({"outcome": Outcome.NOT_FOUND, "simulated": True}).decode()
        report = {
            "score": 300 + score % 551,
            "open_loans": loans % 6,
            # Most pay in time.
            "worst_days_past_due": max(0, late % 200 - 110),
        }
        return orjson.dumps({"outcome": Outcome.FOUND, "report": report, "simulated": True}).decode()

    async def aclose(self) -> None:
        """Nothing is open."""


class HttpBureau:
    """A bureau that answers POST with JSON: `outcome` and whatever else it knows.

    An attempt has a deadline, which the bureau is told. Repeats within it stay within a budget, and while too many
    fail a breaker asks nobody.
    """

    name = "http"

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Asks at `url`, for at most `seconds`, with a bearer `token` if any; `transport` replaces the network."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._seconds = seconds
        self._client = HttpClient(url, timeout_seconds=seconds, headers=headers, transport=transport)

    async def ask(self, person: Person, key: str) -> str:
        """Its answer about a person, as it came; raises BureauSilent."""
        body = {
            "national_id": person.national_id,
            "full_name": person.full_name,
            "birth_date": person.birth_date.isoformat() if person.birth_date else None,
        }
        try:
            with ends_in(self._seconds):
                async with asyncio.timeout(self._seconds):
                    # The whole URL: relative to it, httpx would end its path or its query with a slash.
                    response = await self._client.post(
                        self._url, json=body, headers={IDEMPOTENCY_HEADER: key}
                    )
        except (httpx.HTTPError, ServerUnavailable, TimeoutError) as error:
            raise BureauSilent(type(error).__name__) from None
        status = response.status_code
        # The charset is the bureau's word, and may name none that decodes.
        text = response.content.decode(errors="replace")
        if response.is_success:
            return text
        if status in _REFUSALS:
            # It says nothing about the person, whatever is in it.
            return f"HTTP {status}\n{text}"
        if not response.is_server_error and status not in _TRY_LATER:
            # A wrong URL or token, which somebody can correct before the last attempt.
            _log.error("the bureau does not take requests", status=status)
        raise BureauSilent(str(status))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

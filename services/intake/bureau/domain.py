"""What is asked of a credit bureau and what became of it. Plain Python.

Nothing here rejects an application: whatever the bureau says or does not say goes to the officer.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from services.intake.retries import wait_after

MOST_ATTEMPTS = 12
"""Attempts at one request, within an hour; then the officer is told that the bureau did not answer."""
LARGEST_ANSWER_CHARACTERS = 256 << 10
"""Characters of an answer that are kept; none of a bureau is as long."""


class Outcome(StrEnum):
    """Whether the bureau knows a person; `waiting` until it is known."""

    WAITING = "waiting"
    FOUND = "found"
    NOT_FOUND = "not_found"
    INCONCLUSIVE = "inconclusive"


class Reason(StrEnum):
    """Why an outcome is `waiting` after the first attempt, or `inconclusive`."""

    NO_NATIONAL_ID = "no_national_id"
    NOT_SURE = "not_sure"
    UNUSABLE_ANSWER = "unusable_answer"
    NO_ANSWER = "no_answer"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True)
class Person:
    """Who the bureau is asked about, as submitted."""

    party_id: UUID
    full_name: str
    birth_date: date | None
    national_id: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a bureau's answer says; `raw` is the answer as it came."""

    outcome: Outcome
    reason: Reason | None
    raw: str


@dataclass(frozen=True, slots=True)
class BureauRequest:
    """One request about one person of one version; `report_id` is the kept answer, once there is one."""

    application_id: UUID
    version: int
    party_id: UUID
    outcome: Outcome
    reason: Reason | None
    attempts: int
    next_attempt_at: datetime | None
    report_id: UUID | None
    answered_at: datetime | None

    @property
    def key(self) -> str:
        """The Idempotency-Key of the request: every attempt has the same."""
        return f"{self.application_id}-{self.version}-{self.party_id}"

    @property
    def is_one_too_many(self) -> bool:
        """Whether this attempt is beyond the last one."""
        return self.attempts > MOST_ATTEMPTS

    def claimed(self, now: datetime, lease: timedelta) -> "BureauRequest":
        """The request while an attempt is under way, which nobody else repeats within `lease`."""
        return replace(self, attempts=self.attempts + 1, next_attempt_at=now + lease)

    def silent(self, now: datetime) -> "BureauRequest":
        """The request after an attempt without an answer: tried again later, or left to the officer as it is."""
        if self.attempts >= MOST_ATTEMPTS:
            return self.ended(Outcome.INCONCLUSIVE, Reason.NO_ANSWER, now)
        return replace(self, reason=Reason.NO_ANSWER, next_attempt_at=now + wait_after(self.attempts))

    def ended(self, outcome: Outcome, reason: Reason | None, now: datetime) -> "BureauRequest":
        """The request with its outcome."""
        return replace(self, outcome=outcome, reason=reason, next_attempt_at=None, answered_at=now)


def read(raw: str) -> Report:
    """What an answer says: a JSON object with `outcome`. Whatever is not clear is inconclusive."""
    try:
        said: Any = orjson.loads(raw)
        outcome = Outcome(said["outcome"])
    except (ValueError, KeyError, TypeError):
        return Report(Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER, raw)
    if outcome is Outcome.WAITING:
        return Report(Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER, raw)
    return Report(outcome, Reason.NOT_SURE if outcome is Outcome.INCONCLUSIVE else None, raw)

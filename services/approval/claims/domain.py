"""Who may claim an application, and from whom. Plain Python."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.approval.domain import Case, ClaimedByAnother, DecisionRefused, Hold

TAKES_OVER = ("committee", "senior_officer")
"""Roles that take over another person's claim, at whatever stage."""


class TakeOverNotYours(DecisionRefused):
    """Senior officers take claims over."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on an application until when; it counts at `revision` only.

    `taken_from` and `reason` say whose claim it replaced, and why.
    """

    application_id: UUID
    revision: int
    claimed_by: UUID
    claimed_at: datetime
    expires_at: datetime
    taken_from: UUID | None = None
    reason: str | None = None

    def counts(self, revision: int, now: datetime) -> bool:
        """Whether it still holds the application, which is at `revision`."""
        return self.revision == revision and now < self.expires_at

    @property
    def hold(self) -> Hold:
        """What it tells others."""
        return Hold(self.claimed_by, self.expires_at)


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims, and in which roles; `reason` is why they take over another person's claim."""

    id: UUID
    roles: frozenset[str]
    reason: str | None = None


def claimed(case: Case, held: Claim | None, by: Claimant, now: datetime, length: timedelta) -> Claim:
    """The claim of `by` on an application, for `length`.

    Args:
        case: the application as it is.
        held: its claim as it was last written, if any, whether or not it still counts.
        by: the person. Who has the claim already renews it.
        now: the present instant.
        length: how long a claim lasts without activity.

    Raises:
        TransitionNotAllowed: the application waits for no decision.
        ClaimedByAnother: and no reason for taking it over was given.
        DecisionRefused: the person may not decide, or not take over; the subclass and its text say why.
    """
    case.forbid_maker(by.id)
    fresh = Claim(case.application_id, case.revision, by.id, now, now + length)
    if held is None or not held.counts(case.revision, now):
        case.due_stage_of(by.id, by.roles)
        return fresh
    if held.claimed_by == by.id:
        return replace(held, expires_at=fresh.expires_at)
    if by.reason is None:
        raise ClaimedByAnother(held.hold)
    if by.roles.isdisjoint(TAKES_OVER):
        raise TakeOverNotYours(f"Only {' and '.join(TAKES_OVER)} take claims over.")
    return replace(fresh, taken_from=held.claimed_by, reason=by.reason)

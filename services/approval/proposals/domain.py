"""A proposal for a later day, and the people who may settle it. Plain Python."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Self
from uuid import UUID


class ProposalState(StrEnum):
    """The state of a proposal."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class SettlementRefused(Exception):
    """This person may not settle the proposal; the message says who may."""


class NotWaiting(Exception):
    """The proposal is settled already."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change from a day on; subclasses say of what."""

    id: UUID
    valid_from: date
    reason: str
    state: ProposalState
    revision: int
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None
    refused_by: UUID | None = None
    refused_at: datetime | None = None
    comment: str | None = None

    def confirmed(self, by: UUID, at: datetime) -> Self:
        """The proposal as confirmed by another person.

        Raises:
            NotWaiting: it is settled.
            SettlementRefused: the person proposed it.
        """
        self._check_other(by)
        return replace(
            self,
            state=ProposalState.CONFIRMED,
            revision=self.revision + 1,
            confirmed_by=by,
            confirmed_at=at,
        )

    def rejected(self, by: UUID, comment: str, at: datetime) -> Self:
        """The proposal as rejected by another person; raises as `confirmed`."""
        self._check_other(by)
        return self._refused(ProposalState.REJECTED, by, at, comment)

    def withdrawn(self, by: UUID, at: datetime) -> Self:
        """The proposal as withdrawn by its proposer; raises NotWaiting, and SettlementRefused for anybody else."""
        self._check_waiting()
        if by != self.proposed_by:
            raise SettlementRefused("Only who proposed it takes it back.")
        return self._refused(ProposalState.WITHDRAWN, by, at, None)

    def _refused(self, state: ProposalState, by: UUID, at: datetime, comment: str | None) -> Self:
        return replace(
            self, state=state, revision=self.revision + 1, refused_by=by, refused_at=at, comment=comment
        )

    def _check_waiting(self) -> None:
        if self.state is not ProposalState.WAITING:
            raise NotWaiting(f"It is {self.state}.")

    def _check_other(self, person: UUID) -> None:
        self._check_waiting()
        if person == self.proposed_by:
            raise SettlementRefused("Another person settles what you propose; you can withdraw it.")


SETTLED = ("state", "confirmed_by", "confirmed_at", "refused_by", "refused_at", "comment")
"""What is written when a proposal is settled, besides its revision."""


def day_faults(valid_from: date, today: date) -> Iterator[str]:
    """Say what is wrong with the first day of a change.

    It must be in the future: booking takes the rate of the day of the approval, so a rate that counted from today would
    change what was approved this morning; a version is decided by the bands of its day.
    """
    if valid_from <= today:
        yield f"is not after today, {today}"

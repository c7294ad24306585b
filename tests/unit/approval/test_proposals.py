"""The rules of proposals: two people, once, for a later day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from services.approval.products.domain import ProductProposal
from services.approval.proposals.domain import (
    NotWaiting,
    Proposal,
    ProposalState,
    SettlementRefused,
    day_faults,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ANNA, BEN = UUID(int=1), UUID(int=2)
WAITING = ProductProposal(
    id=UUID(int=9),
    product_code="CAR",
    valid_from=date(2027, 1, 1),
    interest_rate=Decimal("0.071"),
    probability_of_default=Decimal("0.03"),
    loss_given_default=Decimal("0.3"),
    credit_conversion_factor=Decimal(0),
    reason="the market",
    state=ProposalState.WAITING,
    revision=1,
    proposed_by=ANNA,
    proposed_at=NOW,
)
SETTLE: dict[str, Callable[[Proposal, UUID], Proposal]] = {
    "confirmed": lambda proposal, by: proposal.confirmed(by, NOW),
    "rejected": lambda proposal, by: proposal.rejected(by, "no", NOW),
    "withdrawn": lambda proposal, by: proposal.withdrawn(by, NOW),
}


@pytest.mark.parametrize(("how", "by", "other"), [("confirmed", BEN, ANNA), ("rejected", BEN, ANNA)])
def test_another_person_settles_it(how: str, by: UUID, other: UUID) -> None:
    settled = SETTLE[how](WAITING, by)
    assert (settled.state, settled.revision) == (how, 2)
    assert by in {settled.confirmed_by, settled.refused_by}
    with pytest.raises(SettlementRefused):
        SETTLE[how](WAITING, other)


def test_its_proposer_withdraws_it() -> None:
    assert SETTLE["withdrawn"](WAITING, ANNA).state == "withdrawn"
    with pytest.raises(SettlementRefused):
        SETTLE["withdrawn"](WAITING, BEN)


@pytest.mark.parametrize("first", SETTLE)
@pytest.mark.parametrize("second", SETTLE)
def test_it_is_settled_once(first: str, second: str) -> None:
    settled = SETTLE[first](WAITING, ANNA if first == "withdrawn" else BEN)
    for person in (ANNA, BEN):
        with pytest.raises(NotWaiting):
            SETTLE[second](settled, person)


def test_it_counts_from_a_later_day_on() -> None:
    today = date(2026, 12, 31)
    assert not list(day_faults(date(2027, 1, 1), today))
    assert list(day_faults(today, today)) == ["is not after today, 2026-12-31"]
    assert list(day_faults(date(2026, 12, 30), today))

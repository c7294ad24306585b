"""The demo's servicing over real APIs: what was planned is recorded once, and a later day only adds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.platform.demo.client import Person
from services.platform.demo.payments import Borrower, Servicing, Work, work_on
from tests.integration.lending import Lending

TODAY = datetime.now(UTC).date()
VALUE_DATE = TODAY - timedelta(days=700)
WANTED = ({"write-off", "recovery"}, {"restructured"}, {"reversal"}, {"payment"})
BAD = 2


def somebody(loan: Mapping[str, Any], taken: list[Work]) -> Borrower:
    """A borrower who does under the loan what none of those before does."""
    for number in range(2000):
        borrower = Borrower(number, good=len(taken) >= BAD)
        work = work_on(loan, borrower, TODAY)
        if WANTED[len(taken)] <= {one.kind for one in work.planned} | work.classified.keys():
            return borrower
    raise AssertionError("nobody does what is wanted")


@pytest.fixture(scope="module")
async def servicing(lending: Lending) -> Servicing:
    def person(role: str) -> Person:
        clients: Any = {"intake": lending.intake, "approval": lending.approval}
        token = lending.user(role).headers["Authorization"].removeprefix("Bearer ")
        return Person(clients, role, "none is needed", token)

    return Servicing(
        [person("servicing"), person("servicing")], [person("committee") for _ in range(2)], lambda _: None
    )


async def works(servicing: Servicing, borrowers: Mapping[str, Borrower], day: date) -> list[Work]:
    return [work_on(loan, borrowers[loan["id"]], day) for loan in await servicing.loans()]


async def in_the_lake(lending: Lending) -> dict[str, list[tuple[str, date, Any]]]:
    async with lending.lake.connect() as connection:
        rows = await connection.fetch(
            "SELECT loan_id, kind, effective_on, amount FROM credit.loan_transaction "
            "WHERE kind <> 'disbursement' ORDER BY loan_id, recorded_at, id"
        )
    found: dict[str, list[tuple[str, date, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["loan_id"]), []).append((row["kind"], row["effective_on"], row["amount"]))
    return found


def planned(all_works: list[Work]) -> dict[str, list[tuple[str, date, Any]]]:
    return {
        work.loan["id"]: [(one.kind, one.day, one.amount) for one in work.planned]
        for work in all_works
        if work.planned
    }


async def test_what_is_planned_is_recorded_once_and_a_later_day_only_adds(
    lending: Lending, servicing: Servicing
) -> None:
    for _ in WANTED:
        await lending.booked(value_date=VALUE_DATE, amount="1200", term_months=18)
    borrowers: dict[str, Borrower] = {}
    chosen: list[Work] = []
    for loan in await servicing.loans():
        borrowers[loan["id"]] = somebody(loan, chosen)
        chosen.append(work_on(loan, borrowers[loan["id"]], TODAY))

    early = await works(servicing, borrowers, TODAY - timedelta(days=400))
    await servicing.record_all(early)
    assert await in_the_lake(lending) == planned(early)
    sent = sum(servicing.counts.values())

    everything = await works(servicing, borrowers, TODAY)
    await servicing.record_all(everything)
    assert await in_the_lake(lending) == planned(everything)
    assert servicing.counts["not taken"] == 0
    assert sum(servicing.counts.values()) > sent
    kinds = {"payment", "write-off", "recovery", "reversal", "restructured", "default"}
    assert servicing.counts.keys() - {"not taken"} == kinds

    before = servicing.counts.copy()
    await servicing.record_all(await works(servicing, borrowers, TODAY))
    assert servicing.counts == before, "nothing is recorded, and no flag given, twice"


async def test_what_somebody_else_has_recorded_is_left_alone(lending: Lending, servicing: Servicing) -> None:
    loan = (await lending.booked(value_date=VALUE_DATE, amount="1200", term_months=18))["loan_id"]
    written = await lending.by_two(lending.user("servicing"), loan, "write-off", amount="1200")
    assert written.status_code == 200, written.text
    work = next(
        work_on(one, Borrower(1, good=True), TODAY) for one in await servicing.loans() if one["id"] == loan
    )
    before = servicing.counts["not taken"]
    await servicing.record_all([work])
    assert servicing.counts["not taken"] - before == len(work.planned)
    assert [kind for kind, _, _ in (await in_the_lake(lending))[loan]] == ["write-off"]

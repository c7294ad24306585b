"""The extremes that the APIs admit go through the whole chain: lake, dl, ods, dw, dm and ap."""

from __future__ import annotations

import json
import sys
import unicodedata
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.chassis.web.input.strict import Name
from services.lake.domain.schedule import months_later
from tests.conftest import Database, new_database
from tests.integration.lending import VALUE_DATE_DAYS_BACK, Lending, User
from tests.warehouse.conftest import Change, Warehouse

# It builds a whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

TODAY = datetime.now(UTC).date()
OLDEST_VALUE_DATE = TODAY - timedelta(days=VALUE_DATE_DAYS_BACK)
LARGEST = {
    "CLF": "999999999999999.9999",
    "KWD": "999999999999999.999",
    "EUR": "999999999999999.99",
    "JPY": "999999999999999",
}
SMALLEST = {"CLF": "0.0001", "KWD": "0.001", "EUR": "0.01", "JPY": "1"}
RATES = {"free": "0", "dearest": "10"}
PRODUCT = (
    "INSERT INTO credit.product (code, name, currency, min_amount, max_amount, min_term_months, max_term_months) "
    "VALUES ($1, $1, $2, $3, $4, 1, 600)"
)
PARAMETERS = (
    "INSERT INTO credit.product_parameters (product_code, valid_from, interest_rate, probability_of_default, "
    "loss_given_default, credit_conversion_factor, created_at) "
    "VALUES ($1, '1900-01-01', $2, $3, $3, $3, now() AT TIME ZONE 'UTC')"
)
BAND = (
    "INSERT INTO credit.approval_band (band, stage_order, stage, currency, amount_from, amount_below) "
    "VALUES ($1, 1, 'officer', $1, 0, NULL)"
)

SERVICING_BAND = (
    "INSERT INTO credit.servicing_band (band, role, kind, currency, amount_from, amount_below) "
    "VALUES ($1, 'committee', $2, $3, 0, NULL)"
)


def names() -> Iterator[str]:
    """Names of every category and plane of Unicode that a name may have, the shortest and the longest."""
    name = Name(200)
    yield "x"
    yield "x" * 200
    yield "\U00010400" * 100
    seen: dict[tuple[str, int], str] = {}
    for code in range(0x20, sys.maxunicode + 1):
        one = chr(code)
        kind = (unicodedata.category(one), code >> 16)
        if kind not in seen:
            try:
                seen[kind] = name.check(f"A{one}b")
            except ValueError:
                continue
    yield from seen.values()
    yield from (
        "'; DROP TABLE credit.party; --",
        "{{ x }}",
        "=A1+1",
        "a\\b",
        'a"b',
        "%s%(x)s",
        "श\u094d\u200dष",
    )


@dataclass
class Desk:
    """Everybody who is needed to bring an application through, each another person."""

    lending: Lending
    maker: User
    officer: User
    clerk: User

    async def submitted(
        self, product: str, currency: str, amount: str, term: int, **party: Any
    ) -> dict[str, Any]:
        """Submit; the application's view."""
        borrower = await self.lending.party(self.maker, **party)
        return await self.lending.submitted(
            self.maker,
            product_code=product,
            currency=currency,
            amount=amount,
            term_months=term,
            purpose="x" * 64,
            parties=[{"party_id": borrower, "role": "borrower"}],
        )

    async def booked(
        self, product: str, currency: str, amount: str, term: int, value_date: date, **party: Any
    ) -> dict[str, Any]:
        """Submit, approve and book; the loan's view."""
        view = await self.submitted(product, currency, amount, term, **party)
        decided = await self.lending.decide(self.officer, view["id"], 1, comment="\U0001f4b6" * 500)
        assert decided.status_code == 200, decided.text
        booked = await self.lending.book(self.officer, view["id"], 2, {"value_date": value_date.isoformat()})
        assert booked.status_code == 200, booked.text
        loan: dict[str, Any] = booked.json()
        return loan

    async def record(
        self, loan: dict[str, Any], kind: str, amount: str, currency: str, *, on: date = TODAY, **more: Any
    ) -> dict[str, Any]:
        """Record a payment, or have two people do what takes two; its view."""
        if kind != "payment":
            body = {"amount": amount, "currency": currency, "effective_on": on.isoformat(), **more}
            done = await self.lending.by_two(self.clerk, loan["loan_id"], kind, **body)
            assert done.status_code == 200, done.text
            settled: dict[str, Any] = done.json()
            return settled
        response = await self.lending.intake.post(
            f"/loans/{loan['loan_id']}/transactions",
            json={
                "kind": kind,
                "amount": amount,
                "currency": currency,
                "effective_on": on.isoformat(),
            },
            headers={**self.clerk.headers, "Idempotency-Key": str(uuid.uuid4())},
        )
        assert response.status_code == 201, response.text
        view: dict[str, Any] = response.json()
        return view


async def live(desk: Desk, currency: str) -> None:
    """What can happen under loans of one currency, at its extremes."""
    large, small = LARGEST[currency], SMALLEST[currency]
    for rate in RATES:
        product = f"{currency}_{rate}".upper()
        # The largest for the longest time, the smallest for the shortest, each on the oldest day and on the newest.
        for amount, term, day in (
            (large, 600, OLDEST_VALUE_DATE),
            (large, 1, OLDEST_VALUE_DATE),
            (small, 600, TODAY),
            (small, 1, OLDEST_VALUE_DATE),
        ):
            loan = await desk.booked(product, currency, amount, term, day)
            await desk.record(loan, "payment", small, currency, on=day)
            if amount == large and term == 600 and rate == "dearest":
                for _ in range(5):
                    await desk.record(loan, "payment", large, currency)
    lost = await desk.booked(f"{currency}_DEAREST", currency, large, 12, OLDEST_VALUE_DATE)
    await desk.record(lost, "write-off", large, currency, on=OLDEST_VALUE_DATE)
    await desk.record(lost, "recovery", large, currency)
    undone = await desk.booked(f"{currency}_FREE", currency, large, 12, OLDEST_VALUE_DATE)
    paid = await desk.record(undone, "payment", large, currency, on=OLDEST_VALUE_DATE)
    await desk.record(undone, "reversal", large, currency, reverses=paid["id"])


async def people(desk: Desk) -> None:
    """Borrowers of every kind of name and of the extreme ages."""
    for place, name in enumerate(names()):
        await desk.submitted(
            "EUR_FREE",
            "EUR",
            "1000",
            12,
            full_name=name,
            national_id=f"{place:032d}",
            email=f"{'a' * 60}{place}@{'.'.join(['b' * 55] * 3)}.example.com",
            phone="+84 24 3825 2916",
        )
    for age, days in ((18, 0), (120, 0), (121, -1)):
        born = months_later(TODAY, -12 * age) - timedelta(days=days)
        await desk.submitted("EUR_FREE", "EUR", "1000", 12, birth_date=born.isoformat())


@pytest.fixture(scope="module")
async def extreme(lake_template: Database, application_template: Database) -> AsyncIterator[list[Change]]:
    """The journal of a lake that was written by the APIs alone, but for its products and bands."""
    async with (
        new_database(lake_template.platform, "lake", lake_template.name) as lake,
        new_database(application_template.platform, "application", application_template.name) as application,
    ):
        async with lake.connect() as connection:
            for currency, largest in LARGEST.items():
                await connection.execute(BAND, currency)
                for kind in ("write-off", "recovery", "reversal"):
                    await connection.execute(SERVICING_BAND, f"{currency}-{kind}", kind, currency)
                for rate, yearly in RATES.items():
                    limits = (Decimal(SMALLEST[currency]), Decimal(largest))
                    share = Decimal(min(int(yearly), 1))
                    code = f"{currency}_{rate}".upper()
                    await connection.execute(PRODUCT, code, currency, *limits)
                    await connection.execute(PARAMETERS, code, Decimal(yearly), share)
        async with Lending.over(lake, application) as lending:
            desk = Desk(lending, lending.user("maker"), lending.user("officer"), lending.user("servicing"))
            for currency in LARGEST:
                await live(desk, currency)
            await people(desk)
        async with lake.connect() as connection:
            rows = await connection.fetch(
                "SELECT split_part(table_name, '.', 2), position, 0, operation, key, image, fingerprint, actor, "
                "traceparent, captured_at FROM journal.change ORDER BY position"
            )
        yield [(row[0], tuple(row)[1:]) for row in rows]


async def test_what_the_apis_admit_reaches_ap(extreme: list[Change], pieced: Warehouse) -> None:
    await pieced.land(extreme)
    variables = json.dumps({"as_of_date": (TODAY + timedelta(days=1)).isoformat()})
    await pieced.build("path:models path:seeds", "--tests", "all", "--vars", variables)
    loans = sum(table == "loan" for table, _ in extreme)
    counted = await pieced.rows("SELECT count(*) AS loans FROM ods.credit_loan")
    assert counted == [{"loans": loans}]
    currencies = await pieced.rows("SELECT DISTINCT currency FROM ap.kpi ORDER BY currency")
    assert {row["currency"] for row in currencies} >= set(LARGEST)
    # Five of the largest payments on one loan, of several.
    paid = await pieced.rows(
        "SELECT currency, sum(amount) AS amount FROM ods.credit_loan_transaction WHERE kind = 'payment' "
        "GROUP BY currency"
    )
    for row in paid:
        assert row["amount"] > 5 * Decimal(LARGEST[row["currency"]])
    # No rule of a table is narrower than what the APIs take.
    assert await pieced.rows("SELECT table_name, column_name, broken_rule FROM ods.quarantine") == []

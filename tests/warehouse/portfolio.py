"""A small portfolio in the lake: how its rows are made, and generated loans. hand_made.py has the boundary cases.

Every row is written by plain SQL into `credit`, so that the real triggers write the journal. The reporting date of the
tests is `AS_OF`; dates of the hand-made loans are chosen for it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from services.lake.domain.schedule import schedule
from services.lake.samples.reference import PRODUCTS

AS_OF = date(2026, 9, 15)
NAMESPACE = UUID("5eed0000-0000-4000-8000-000000000000")
VIETNAMESE = ("Nguyễn Thị Ánh Tuyết", "Trần Đình Trọng")


def identifier(name: str) -> UUID:
    """The same identifier for the same name, always."""
    return uuid5(NAMESPACE, name)


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    """An instant of a day, UTC, as the lake keeps it: naive."""
    return datetime.combine(day, time(hour, minute))


@dataclass
class Portfolio:
    """Statements that bring the lake from empty to the portfolio, in the order in which they happened."""

    steps: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def insert(self, table: str, **values: Any) -> None:
        """Add an INSERT."""
        places = ", ".join(f"${index}" for index in range(1, len(values) + 1))
        self.steps.append(
            (
                f"INSERT INTO credit.{table} ({', '.join(values)}) VALUES ({places})",
                tuple(values.values()),
            )
        )

    def execute(self, statement: str, *values: Any) -> None:
        """Add any other statement."""
        self.steps.append((statement, values))

    def party(self, name: str, full_name: str = VIETNAMESE[0], born: date | None = date(1980, 2, 29)) -> UUID:
        """Put a person on record; the id."""
        party = identifier(f"party {name}")
        self.insert(
            "party",
            id=party,
            kind="person",
            full_name=full_name,
            birth_date=born,
            national_id=None,
            email=None,
            phone=None,
            created_by=identifier("maker"),
            created_at=at(date(2024, 1, 1)),
            revision=1,
        )
        return party

    def submitted(
        self,
        name: str,
        moment: datetime,
        amount: Decimal = Decimal(1200),
        *,
        term: int = 12,
        score: int = 500,
        product: str = "CONSUMER",
        full_name: str = VIETNAMESE[0],
        currency: str = "DEM",
    ) -> UUID:
        """Submit an application at `moment`; its id. The borrower is a party of its own."""
        party = self.party(name, full_name)
        application = identifier(f"application {name}")
        self.insert(
            "application",
            id=application,
            state="SUBMITTED",
            current_version=1,
            revision=1,
            draft=None,
            created_by=identifier("maker"),
            created_at=moment,
            submitted_at=moment,
            decided_at=None,
        )
        self.version(application, 1, moment, amount, term, score, product, currency)
        self.insert("application_party", application_id=application, party_id=party, role="borrower")
        self.event(application, None, "SUBMITTED", moment)
        return application

    def version(  # noqa: PLR0917 - the columns of a version
        self,
        application: UUID,
        version: int,
        moment: datetime,
        amount: Decimal,
        term: int,
        score: int,
        product: str,
        currency: str = "DEM",
    ) -> None:
        """Add a submitted version."""
        self.insert(
            "application_version",
            application_id=application,
            version=version,
            product_code=product,
            amount=amount,
            currency=currency,
            term_months=term,
            purpose="furniture",
            channel="branch",
            maker=identifier("maker"),
            profile="{}",
            score=score,
            score_reasons="[]",
            submitted_at=moment,
        )

    def event(
        self, application: UUID, before: str | None, after: str, moment: datetime, version: int = 1
    ) -> None:
        """Write down a change of state."""
        reason = "policy" if after in {"RETURNED", "REJECTED"} else None
        self.insert(
            "application_event",
            id=identifier(f"event {application} {version} {after}"),
            application_id=application,
            version=version,
            from_state=before,
            to_state=after,
            actor=identifier("officer"),
            role="officer",
            reason_code=reason,
            comment=None,
            occurred_at=moment,
        )

    def move(self, application: UUID, before: str, after: str, moment: datetime, version: int = 1) -> None:
        """Bring an application from one state into another, with the event and, where it is one, the decision."""
        outcome = {"APPROVED": "approve", "REJECTED": "reject", "RETURNED": "return"}.get(after)
        if outcome is not None:
            if before == "SUBMITTED":
                self.event(application, before, "IN_REVIEW", moment - timedelta(microseconds=1), version)
                before = "IN_REVIEW"
            self.insert(
                "decision",
                id=identifier(f"decision {application} {version}"),
                application_id=application,
                version=version,
                stage="officer",
                outcome=outcome,
                maker=identifier("maker"),
                decided_by=identifier("officer"),
                reason_code=None if outcome == "approve" else "policy",
                comment=None,
                decided_at=moment,
            )
        self.event(application, before, after, moment, version)
        self.execute(
            "UPDATE credit.application SET state = $2::varchar, revision = revision + 1, current_version = $4, "
            "decided_at = CASE WHEN $2::varchar IN ('APPROVED', 'REJECTED') THEN $3::timestamp ELSE decided_at END "
            "WHERE id = $1",
            application,
            after,
            moment,
            version,
        )

    def loan(
        self,
        name: str,
        disbursed_on: date,
        *,
        principal: Decimal = Decimal(1200),
        term: int = 12,
        rate: Decimal = Decimal(0),
        product: str = "CONSUMER",
        score: int = 500,
        currency: str = "DEM",
    ) -> UUID:
        """Submit, approve and book a loan whose schedule counts from `disbursed_on`; its id."""
        application = self.submitted(
            name,
            at(disbursed_on - timedelta(days=3)),
            principal,
            term=term,
            score=score,
            product=product,
            full_name=VIETNAMESE[1],
            currency=currency,
        )
        self.move(application, "SUBMITTED", "APPROVED", at(disbursed_on - timedelta(days=2)))
        self.move(application, "APPROVED", "BOOKED", at(disbursed_on))
        loan = identifier(f"loan {name}")
        self.insert(
            "loan",
            id=loan,
            application_id=application,
            version=1,
            product_code=product,
            borrower_id=identifier(f"party {name}"),
            principal=principal,
            currency=currency,
            interest_rate=rate,
            term_months=term,
            booked_by=identifier("officer"),
            booked_at=at(disbursed_on),
            restructured=False,
            defaulted=False,
        )
        for one in schedule(principal, rate, term, disbursed_on, currency):
            self.insert(
                "instalment",
                loan_id=loan,
                number=one.number,
                due_on=one.due_on,
                principal=one.principal,
                interest=one.interest,
            )
        self.moved(f"{name} disbursement", loan, "disbursement", principal, disbursed_on, currency=currency)
        return loan

    def classified(self, name: str, loan: UUID, classification: str, since: date | None) -> None:
        """Say that a loan is in default or restructured since a day, as a history says it; None when nobody knows."""
        flag = {"default": "defaulted", "restructured": "restructured"}[classification]
        self.execute(f"UPDATE credit.loan SET {flag} = true WHERE id = $1", loan)
        self.insert(
            "loan_classification",
            id=identifier(f"classification {name}"),
            loan_id=loan,
            classification=classification,
            effective_from=since,
            recorded_at=at(AS_OF),
            migrated=True,
        )

    def moved(  # noqa: PLR0917 - the columns of a transaction
        self,
        name: str,
        loan: UUID,
        kind: str,
        amount: Decimal,
        day: date,
        reverses: str | None = None,
        currency: str = "DEM",
    ) -> None:
        """Record money that moved, by two people where it takes two; `reverses` names an earlier transaction."""
        undone = None if reverses is None else identifier(f"transaction {reverses}")
        second: dict[str, Any] = {}
        if kind not in {"disbursement", "payment"}:
            second = {"proposal_id": identifier(f"proposal {name}"), "confirmed_by": identifier("committee")}
            self.insert(
                "loan_proposal",
                id=second["proposal_id"],
                loan_id=loan,
                booked_by=identifier("officer"),
                kind=kind,
                amount=amount,
                currency=currency,
                effective_on=day,
                reverses=undone,
                reason="as agreed",
                state="confirmed",
                revision=2,
                proposed_by=identifier("officer"),
                proposed_at=at(day, 11),
                confirmed_by=second["confirmed_by"],
                confirmed_at=at(day, 12),
            )
        self.insert(
            "loan_transaction",
            id=identifier(f"transaction {name}"),
            loan_id=loan,
            kind=kind,
            amount=amount,
            currency=currency,
            effective_on=day,
            reverses=undone,
            recorded_by=identifier("officer"),
            recorded_at=at(day, 12),
            **second,
        )

    async def write(self, lake: asyncpg.Connection[asyncpg.Record]) -> None:
        """Write everything into the lake, in order."""
        # The changes carry contexts, as those of the services do; every other one is sampled.
        for number, (statement, values) in enumerate(self.steps):
            async with lake.transaction():
                await lake.execute(
                    "SELECT set_config('journal.actor', 'portfolio', true), "
                    "set_config('journal.traceparent', $1, true)",
                    f"00-{number + 1:032x}-{number + 1:016x}-0{number % 2}",
                )
                await lake.execute(statement, *values)


def generated(count: int, seed: int) -> Portfolio:
    """`count` loans of the last two years that pay well, late, in part or not at all; the same for the same seed.

    Their currency is another than the hand-made ones', so that no KPI mixes the two.
    """
    chance = random.Random(seed)
    made = Portfolio()
    for number in range(count):
        name = f"generated {number}"
        start = AS_OF - timedelta(days=chance.randrange(40, 730))
        principal = Decimal(chance.randrange(5, 60) * 100)
        term = chance.choice((6, 12, 24))
        product = chance.choice(PRODUCTS)["code"]
        loan = made.loan(
            name,
            start,
            principal=principal,
            term=term,
            rate=Decimal("0.0890"),
            product=product,
            score=chance.randrange(330, 650),
            currency="EUR",
        )
        good = chance.random() < 0.7
        for one in schedule(principal, Decimal("0.0890"), term, start, "EUR"):
            paid_on = one.due_on + timedelta(days=chance.randrange(0, 5 if good else 60))
            if paid_on > AS_OF or (not good and chance.random() < 0.3):
                continue
            amount = one.principal + one.interest
            if not good and chance.random() < 0.2:
                amount = (amount / 2).quantize(Decimal("0.01"))
            made.moved(f"{name} {one.number}", loan, "payment", amount, paid_on, currency="EUR")
    return made

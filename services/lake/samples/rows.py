"""The fifty sample applications as rows of the lake: the same rows every time.

Amount, term, purpose and profile are real (see `german_credit`); people, times, identifiers, the users who
entered and decided them, the way they were decided and what was paid (see `payments`) are synthetic, made from a
fixed seed.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from services.lake import tables
from services.lake.domain.schedule import schedule
from services.lake.domain.states import Action, State, after
from services.lake.samples.german_credit import SampleApplication, sample_split
from services.lake.samples.payments import Planned, behaviour
from services.lake.samples.people import person
from services.lake.samples.reference import BANDS, CURRENCY, PARAMETERS
from services.lake.tables import PROPOSAL_KINDS

SEED = 50
APPROVE_FROM = 500
"""Samples with at least this score are approved, the others rejected: the same cut-off as in the demo."""
UNDECIDED = 5
"""The number of samples at the end that stay in the queue."""
NOT_BOOKED = 10
"""Approved samples whose number is divisible by this are not booked yet."""
SERVICED_UNTIL = date(2026, 6, 30)
"""Transactions under the sample loans are recorded up to this day."""

_SCORES = Path(__file__).with_name("scores.json")
_FIRST_SUBMISSION = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

Rows = dict[str, list[dict[str, Any]]]


def product_of(purpose: str) -> str:
    """The product that an application with this purpose asks for."""
    if purpose.startswith("car"):
        return "CAR"
    return {"business": "BUSINESS", "education": "EDUCATION", "retraining": "EDUCATION"}.get(
        purpose, "CONSUMER"
    )


def sample_rows() -> Rows:
    """Give the rows by table name, parents before children; columns as in `services.lake.tables`."""
    maker = _Maker()
    samples, _ = sample_split()
    scores = json.loads(_SCORES.read_text(encoding="utf-8"))
    for number, (sample, score) in enumerate(zip(samples, scores, strict=True), start=1):
        maker.add(number, sample, score, decide=number <= len(samples) - UNDECIDED)
    return maker.rows


@dataclass
class _Maker:
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - always the same rows
    # A separate generator for what follows a decision.
    booking_chance: random.Random = field(default_factory=lambda: random.Random(SEED + 1))  # noqa: S311
    # A separate generator for proposals.
    proposal_chance: random.Random = field(default_factory=lambda: random.Random(SEED + 2))  # noqa: S311
    rows: Rows = field(
        default_factory=lambda: {
            name: []
            for name in (
                "party",
                "application",
                "application_party",
                "application_version",
                "application_version_party",
                "application_event",
                "decision",
                "loan",
                "instalment",
                "loan_proposal",
                "loan_transaction",
                "loan_classification",
            )
        }
    )
    users: dict[str, UUID] = field(default_factory=dict)

    def add(self, number: int, sample: SampleApplication, score: dict[str, Any], *, decide: bool) -> None:
        """Add one application with all its rows."""
        at = _FIRST_SUBMISSION + timedelta(hours=7 * number, seconds=self.chance.randrange(3600))
        maker = self.user("maker")
        party_id, application_id = self.identifier(at), self.identifier(at)
        who = person(self.chance, number, sample.age_years, at.date())
        self.rows["party"].append(
            {
                "id": party_id,
                "kind": "person",
                "full_name": who.full_name,
                "birth_date": who.birth_date,
                "national_id": who.national_id,
                "email": who.email,
                "phone": who.phone,
                "created_by": maker,
                "created_at": at,
                "revision": 1,
            }
        )
        self.rows["application_version"].append(
            {
                "application_id": application_id,
                "version": 1,
                "product_code": product_of(sample.purpose),
                "amount": sample.amount,
                "currency": CURRENCY,
                "term_months": sample.term_months,
                "purpose": sample.purpose,
                "channel": "branch",
                "maker": maker,
                "profile": json.dumps({**sample.profile, "age_years": sample.age_years}),
                "score": score["score"],
                "score_reasons": json.dumps(score["reasons"]),
                "submitted_at": at,
            }
        )
        self.rows["application_party"].append(
            {"application_id": application_id, "party_id": party_id, "role": "borrower"}
        )
        self.rows["application_version_party"].append(
            {
                "application_id": application_id,
                "version": 1,
                "party_id": party_id,
                "role": "borrower",
                "kind": "person",
                "full_name": who.full_name,
                "birth_date": who.birth_date,
                "national_id": who.national_id,
                "party_revision": 1,
                "origin": "submitted",
            }
        )
        state = self.event(application_id, None, State.SUBMITTED, maker, "maker", at)
        decided_at = None
        if decide:
            approve = score["score"] >= APPROVE_FROM
            state, decided_at = self.decide(application_id, sample, maker, at, approve=approve)
            if state is State.APPROVED and number % NOT_BOOKED:
                state = self.book(number, sample, application_id, party_id, decided_at)
        self.rows["application"].append(
            {
                "id": application_id,
                "state": state,
                "current_version": 1,
                "revision": 1
                + len([d for d in self.rows["decision"] if d["application_id"] == application_id])
                + (state is State.BOOKED),
                "draft": None,
                "created_by": maker,
                "created_at": at,
                "submitted_at": at,
                "decided_at": decided_at,
            }
        )

    def decide(
        self, application_id: UUID, sample: SampleApplication, maker: UUID, at: datetime, *, approve: bool
    ) -> tuple[State, datetime]:
        """Take the application through the stages of its band; a rejection ends at the first."""
        stages = [
            band["stage"]
            for band in BANDS
            if band["amount_from"] <= sample.amount
            and (band["amount_below"] is None or sample.amount < band["amount_below"])
        ]
        outcome = Action.APPROVE if approve else Action.REJECT
        state = State.SUBMITTED
        stage, officer = "", maker
        for stage in stages if approve else stages[:1]:
            at += timedelta(minutes=self.chance.randrange(30, 60 * 30))
            officer = self.user(stage)
            if state is State.SUBMITTED:
                state = self.event(application_id, state, after(state, Action.REVIEW), officer, stage, at)
            self.rows["decision"].append(
                {
                    "id": self.identifier(at),
                    "application_id": application_id,
                    "version": 1,
                    "stage": stage,
                    "outcome": outcome.value,
                    "maker": maker,
                    "decided_by": officer,
                    "reason_code": None if approve else "low_score",
                    "comment": None,
                    "decided_at": at,
                }
            )
        reason = None if approve else "low_score"
        return self.event(application_id, state, after(state, outcome), officer, stage, at, reason), at

    def book(
        self,
        number: int,
        sample: SampleApplication,
        application_id: UUID,
        party_id: UUID,
        approved_at: datetime,
    ) -> State:
        """Book the loan, disbursed on that day, by the last decider; with the payments since."""
        last = self.rows["decision"][-1]
        at = approved_at + timedelta(minutes=self.booking_chance.randrange(10, 60 * 72))
        loan_id = self.identifier(at, self.booking_chance)
        code = product_of(sample.purpose)
        rate = next(row["interest_rate"] for row in PARAMETERS if row["product_code"] == code)
        instalments = schedule(sample.amount, rate, sample.term_months, at.date(), CURRENCY)
        plan = behaviour(number, instalments, good=sample.good)
        self.rows["loan"].append(
            {
                "id": loan_id,
                "application_id": application_id,
                "version": 1,
                "product_code": code,
                "borrower_id": party_id,
                "principal": sample.amount,
                "currency": CURRENCY,
                "interest_rate": rate,
                "term_months": sample.term_months,
                "booked_by": last["decided_by"],
                "booked_at": at,
                "restructured": False,
                "defaulted": False,
                **plan.flags(SERVICED_UNTIL),
            }
        )
        self.rows["instalment"] += [{"loan_id": loan_id, **asdict(one)} for one in instalments]
        disbursed = Planned(at.date(), "disbursement", sample.amount)
        self.transaction(loan_id, disbursed, None, last["decided_by"], at)
        clerk = self.user("servicing", self.booking_chance)
        for classification, since in plan.classified(SERVICED_UNTIL).items():
            judged = Planned(since, "classification", sample.amount)
            self.classify(self.propose(loan_id, judged, None, clerk, _noon(since), classification))
        ids: list[UUID] = []
        for place, one in enumerate(plan.until(SERVICED_UNTIL)):
            recorded_at = _noon(one.day) + timedelta(seconds=place)
            undone = None if one.reverses is None else ids[one.reverses]
            ids.append(self.transaction(loan_id, one, undone, clerk, recorded_at))
        return self.event(
            application_id,
            State.APPROVED,
            after(State.APPROVED, Action.BOOK),
            last["decided_by"],
            last["stage"],
            at,
        )

    def transaction(
        self, loan_id: UUID, one: Planned, reverses: UUID | None, recorded_by: UUID, at: datetime
    ) -> UUID:
        """Add a transaction; returns its id."""
        identifier = self.identifier(at, self.booking_chance)
        proposal: dict[str, Any] = {"id": None, "confirmed_by": None}
        if one.kind in PROPOSAL_KINDS and one.kind != "disbursement":
            proposal = self.propose(loan_id, one, reverses, recorded_by, at)
            if one.kind == "write-off":
                # The plans write off all that is left.
                self.classify({**proposal, "classification": "written-off"})
        self.rows["loan_transaction"].append(
            {
                "id": identifier,
                "loan_id": loan_id,
                "kind": one.kind,
                "amount": one.amount,
                "currency": CURRENCY,
                "effective_on": one.day,
                "reverses": reverses,
                "recorded_by": recorded_by,
                "recorded_at": at,
                "proposal_id": proposal["id"],
                "confirmed_by": proposal["confirmed_by"],
            }
        )
        return identifier

    def propose(  # noqa: PLR0917 - what a proposal says
        self,
        loan_id: UUID,
        one: Planned,
        reverses: UUID | None,
        proposed_by: UUID,
        at: datetime,
        classification: str | None = None,
    ) -> dict[str, Any]:
        """Add a proposal that another person confirmed `at` an instant; returns its row."""
        proposal = {
            "id": self.identifier(at, self.proposal_chance),
            "loan_id": loan_id,
            "booked_by": self.rows["loan"][-1]["booked_by"],
            "kind": one.kind,
            "amount": one.amount,
            "currency": CURRENCY,
            "effective_on": one.day,
            "reverses": reverses,
            "classification": classification,
            "ends": None if classification is None else False,
            "reason": "sample",
            "state": "confirmed",
            "revision": 2,
            "proposed_by": proposed_by,
            "proposed_at": at - timedelta(hours=1),
            "confirmed_by": self.user("confirmer", self.proposal_chance),
            "confirmed_at": at,
            "refused_by": None,
            "refused_at": None,
            "comment": None,
        }
        self.rows["loan_proposal"].append(proposal)
        return proposal

    def classify(self, proposal: dict[str, Any]) -> None:
        """Add the classification that was proposed."""
        self.rows["loan_classification"].append(
            {
                "id": self.identifier(proposal["confirmed_at"], self.proposal_chance),
                "loan_id": proposal["loan_id"],
                "classification": proposal["classification"],
                "effective_from": proposal["effective_on"],
                "effective_to": None,
                "reason": proposal["reason"],
                "proposal_id": proposal["id"],
                "proposed_by": proposal["proposed_by"],
                "confirmed_by": proposal["confirmed_by"],
                "ending_proposal_id": None,
                "ending_confirmed_by": None,
                "recorded_at": proposal["confirmed_at"],
            }
        )

    def event(  # noqa: PLR0917 - the columns of an event
        self,
        application_id: UUID,
        before: State | None,
        to: State,
        actor: UUID,
        role: str,
        at: datetime,
        reason_code: str | None = None,
    ) -> State:
        """Add an event; returns the state that it leads to."""
        self.rows["application_event"].append(
            {
                "id": self.identifier(at, self.booking_chance if to is State.BOOKED else self.chance),
                "application_id": application_id,
                "version": 1,
                "from_state": before,
                "to_state": to,
                "actor": actor,
                "role": role,
                "reason_code": reason_code,
                "comment": None,
                "occurred_at": at,
            }
        )
        return to

    def user(self, role: str, chance: random.Random | None = None) -> UUID:
        """The synthetic user of a role; it has no login."""
        return self.users.setdefault(role, self.identifier(_FIRST_SUBMISSION, chance))

    def identifier(self, at: datetime, chance: random.Random | None = None) -> UUID:
        """A UUIDv7 of an instant, its random part from a fixed seed (RFC 9562, 5.7)."""
        value = (int(at.timestamp() * 1000) << 80) | (chance or self.chance).getrandbits(80)
        value = (value & ~(0xF << 76)) | (0x7 << 76)
        return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))


def _noon(on: date) -> datetime:
    return datetime.combine(on, time(12), UTC)


def in_order(rows: Rows) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield (table, row), parents before children, ready to be inserted."""
    for table in tables.CAPTURED:
        for row in rows.get(table.name, ()):
            yield table, row

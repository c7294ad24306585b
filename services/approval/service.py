"""The use cases of officers: read an application, decide on a version, book a loan. Each is one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from services.approval.bureau.repository import BureauOutcomes
from services.approval.cases import Booking, BookingPolicy, Clock, Record, Verdict, Wanted, utc_now
from services.approval.claims.service import Claims
from services.approval.domain import (
    BOOKING_ROLES,
    Band,
    Case,
    Decision,
    DecisionRefused,
    Event,
    Outcome,
)
from services.approval.errors import (
    AmountNotBookable,
    NoRateOnDecisionDay,
    PartiesChanged,
    StageDecidedMeanwhile,
    StageNotYours,
    problem,
)
from services.approval.repository import ApprovalRepository, case_of
from services.chassis.deadline import seconds_left
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.identity import Caller
from services.chassis.web.problems import DeadlineExceeded, Problem, as_problem
from services.lake import access
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.domain.money import amount_fault
from services.lake.domain.roles import Personal
from services.lake.domain.schedule import schedule
from services.lake.domain.states import Action, State, TransitionNotAllowed, after
from services.lake.errors import NoSuchApplication, StaleRevision
from services.lake.locks import lock_parties
from services.lake.metrics import APPLICATIONS

_log = get_logger(__name__)

ANSWER_SECONDS = 0.5
"""What decisions on several applications leave of the request's time, to answer what was decided."""


class Approval:
    """The use cases of approval over one lake."""

    def __init__(
        self,
        lake: Lake,
        repository: ApprovalRepository,
        policy: BookingPolicy,
        claims: Claims,
        now: Clock = utc_now,
    ) -> None:
        """`policy`: the days that loans may count from; `now`: the clock of decisions and bookings."""
        self._lake = lake
        self._repository = repository
        self._policy = policy
        self._claims = claims
        self._bureau = BureauOutcomes()
        self._now = now

    async def bands(self) -> list[Band]:
        """The approval bands that count now or will, by currency and amount."""
        now = self._now()
        async with self._lake.reading() as reader:
            bands = await self._repository.bands(reader)
        return [band for band in bands if band.valid_to is None or band.valid_to > now]

    async def record(self, application_id: UUID, *, by: Caller) -> Record:
        """Everything about one application that the caller may see; raises NoSuchApplication.

        To read an application is activity: it renews the caller's claim.
        """
        record = await self._read(application_id, by)
        hold = (
            None if record.case is None else await self._claims.renew(application_id, record.case.hold, by=by)
        )
        shown = {"claimed_by": hold and hold.by, "claimed_until": hold and hold.until}
        return replace(record, row={**record.row, **shown})

    async def _read(self, application_id: UUID, by: Caller) -> Record:
        async with self._lake.reading() as reader:
            row = await self._row(reader, application_id, by)
            versions = (await self._repository.versions(reader, [application_id]))[application_id]
            decisions = (await self._repository.decisions(reader, [application_id]))[application_id]
            case = None
            if versions:
                case = case_of(row, versions, decisions, await self._repository.bands(reader))
            parties = (await self._repository.parties(reader, [application_id]))[application_id]
            return Record(
                row=row,
                versions=versions,
                parties=[access.shown(one, row["personal"]) for one in parties],
                changed_parties=await self._repository.changed_parties(
                    reader, application_id, row["current_version"]
                )
                if versions
                else (),
                decisions=decisions,
                # What is known of people is for those who see who they are.
                bureau=await self._bureau.of(reader, application_id, row["current_version"])
                if versions and row["personal"] > Personal.HIDDEN
                else (),
                events=await self._repository.events(reader, application_id),
                case=case,
            )

    async def decide_several(self, wanted: Sequence[Wanted], *, by: Caller) -> list[State | Problem]:
        """Decide on several applications, in their order, each in a transaction of its own.

        For each gives the state that it came into, or why it was refused. An error of any kind is the answer of its
        own application, and so is the end of the request's time: the caller must learn what was decided before it.
        """
        answers: list[State | Problem] = []
        for one in wanted:
            left = seconds_left()
            timeout = asyncio.timeout(None if left is None else left - ANSWER_SECONDS)
            try:
                async with timeout:
                    answers.append(
                        await self.decide(one.application_id, one.verdict, expected=one.revision, by=by)
                    )
            except Problem as refused:
                answers.append(refused)
            except Exception as error:  # noqa: BLE001 - logged, and the answer of this application
                if timeout.expired():
                    answers.append(DeadlineExceeded("Read it before you decide again: its time was over."))
                    continue
                _log.exception("a decision of several failed", application_id=str(one.application_id))
                answers.append(as_problem(error))
        return answers

    async def decide(self, application_id: UUID, verdict: Verdict, *, expected: int, by: Caller) -> State:
        """Decide on the current version; gives the state that the application came into.

        Returning an approved application revokes the approval. Then no stage has decided, and the event says who
        returned it, in which role and why.

        Raises NoSuchApplication, MakerCannotDecide, StaleRevision, ActionNotAllowed, StageNotYours, StageNotDue,
        DecidedAlready, NoBandApplies, ClaimedByAnother, PartiesChanged, PartiesBusy.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            case = await self._case_for(tx, application_id, Action.REVIEW, expected=expected, by=by)
            try:
                ruling = case.decide(verdict.outcome, by=by.id, roles=by.roles, stage=verdict.stage)
            except (DecisionRefused, TransitionNotAllowed) as reason:
                # The case was read in several statements. If somebody decided between two of them, the refusal may be
                # based on inconsistent data; the correct answer is that the revision is stale.
                row = await self._row(tx, application_id, by)
                if row["revision"] != expected:
                    raise StaleRevision(expected) from None
                raise problem(reason) from None
            if verdict.outcome is Outcome.APPROVE:
                await self._check_parties(tx, case, expected, by)
            at = self._now()
            state = ruling.states[-1] if ruling.states else case.state
            final = state in (State.APPROVED, State.REJECTED)
            # This write comes first: it takes the row's lock. The second of two concurrent decisions waits here,
            # then finds a newer revision, and has written nothing.
            await self._move(tx, case, expected, state, at if final else None)
            made = Decision(
                id=uuid7(),
                application_id=application_id,
                version=case.current.version,
                stage=ruling.stage,
                outcome=verdict.outcome,
                maker=case.current.maker,
                decided_by=by.id,
                reason_code=verdict.reason_code,
                comment=verdict.comment,
                decided_at=at,
            )
            if not ruling.reopens:
                await self._add_decision(tx, made)
            if case.hold is not None:
                await self._claims.end(tx, application_id)
            await self._repository.add_events(tx, _events(case, ruling.states, made))
        for passed in ruling.states:
            APPLICATIONS.labels(passed).inc()
        return state

    async def book(
        self, application_id: UUID, value_date: date | None, *, expected: int, by: Caller
    ) -> Booking:
        """Book the approved version as a loan with its schedule, disbursed on `value_date` (by default today).

        Raises NoSuchApplication, MakerCannotDecide, StaleRevision, ActionNotAllowed, StageNotYours, ValueDateRefused,
        AmountNotBookable, NoRateOnDecisionDay, PartiesChanged, PartiesBusy.
        """
        counts_from = self._policy.value_date(value_date)
        role = next((role for role in BOOKING_ROLES if role in by.roles), None)
        if role is None:
            raise StageNotYours(f"Only {', '.join(BOOKING_ROLES)} book loans.")
        async with self._lake.transaction(actor=str(by.id)) as tx:
            case = await self._case_for(tx, application_id, Action.BOOK, expected=expected, by=by)
            try:
                state = after(case.state, Action.BOOK)
            except TransitionNotAllowed as reason:
                raise problem(reason) from None
            # The version is older than the rule that amounts are multiples of the minor unit.
            if fault := amount_fault(case.current.amount, case.current.currency):
                raise AmountNotBookable(f"{fault}: withdraw the application and submit another.")
            await self._check_parties(tx, case, expected, by)
            at = self._now()
            await self._move(tx, case, expected, state, case.decided_at)
            booking = await self._add_loan(tx, case, counts_from, expected + 1, by.id, at)
            event = Event(
                uuid7(), application_id, case.current.version, case.state, state, by.id, role, None, None, at
            )
            await self._repository.add_events(tx, [event])
        APPLICATIONS.labels(state).inc()
        return booking

    async def _add_loan(  # noqa: PLR0917 - what the loan is made of
        self, tx: LakeTransaction, case: Case, value_date: date, revision: int, by: UUID, at: datetime
    ) -> Booking:
        current = case.current
        # The loan has the terms that were approved: the approvers did not see a rate that changed since.
        approved_on = self._policy.day_of(case.decided_at or at)
        rate = await self._repository.interest_rate(tx, current.product_code, approved_on)
        if rate is None:
            raise NoRateOnDecisionDay(current.product_code, approved_on)
        booking = Booking(
            loan_id=uuid7(),
            application_id=case.application_id,
            revision=revision,
            principal=current.amount,
            currency=current.currency,
            interest_rate=rate,
            value_date=value_date,
            booked_at=at,
            instalments=schedule(current.amount, rate, current.term_months, value_date, current.currency),
        )
        await self._repository.add_loan(
            tx,
            {
                "id": booking.loan_id,
                "application_id": case.application_id,
                "version": current.version,
                "product_code": current.product_code,
                "borrower_id": await self._repository.borrower(tx, case.application_id),
                "principal": booking.principal,
                "currency": booking.currency,
                "interest_rate": rate,
                "term_months": current.term_months,
                "booked_by": by,
                "booked_at": at,
                "restructured": False,
                "defaulted": False,
            },
            booking.instalments,
            {
                "id": uuid7(),
                "loan_id": booking.loan_id,
                "kind": "disbursement",
                "amount": booking.principal,
                "currency": booking.currency,
                "effective_on": value_date,
                "reverses": None,
                "recorded_by": by,
                "recorded_at": at,
            },
        )
        return booking

    async def _case_for(
        self, tx: LakeTransaction, application_id: UUID, action: Action, *, expected: int, by: Caller
    ) -> Case:
        row = await self._row(tx, application_id, by)
        case = await self._repository.case(tx, row)
        if case is None:
            raise problem(TransitionNotAllowed(State(row["state"]), action))
        try:
            case.forbid_maker(by.id)
        except DecisionRefused as reason:
            raise problem(reason) from None
        if case.revision != expected:
            raise StaleRevision(expected)
        return case

    async def _check_parties(self, tx: LakeTransaction, case: Case, expected: int, by: Caller) -> None:
        """Check that the parties are unchanged since the submission, and lock them until the commit."""
        await lock_parties(tx, await self._repository.party_ids(tx, case.application_id))
        version = case.current.version
        if changed := await self._repository.changed_parties(tx, case.application_id, version):
            # The parties may be those of a version that was submitted since the case was read.
            if (await self._row(tx, case.application_id, by))["revision"] != expected:
                raise StaleRevision(expected)
            raise PartiesChanged(version, changed, values="parties:read" in by.scopes)

    async def _add_decision(self, tx: LakeTransaction, made: Decision) -> None:
        try:
            await self._repository.add_decision(tx, made)
        except IntegrityError:
            # Somebody decided without incrementing the revision: only a write that bypasses this service does that.
            raise StageDecidedMeanwhile("Read the application again.") from None

    async def _move(
        self, tx: LakeTransaction, case: Case, expected: int, state: State, decided_at: datetime | None
    ) -> None:
        if not await self._repository.move(tx, case.application_id, expected, state, decided_at):
            raise StaleRevision(expected)

    async def _row(self, reader: LakeReader, application_id: UUID, by: Caller) -> Mapping[str, Any]:
        row = await self._repository.application(reader, application_id, by, self._now())
        if row is None:
            raise NoSuchApplication(application_id)
        return row


def _events(case: Case, states: Sequence[State], made: Decision) -> list[Event]:
    return [
        Event(
            id=uuid7(),
            application_id=case.application_id,
            version=made.version,
            from_state=before,
            to_state=state,
            actor=made.decided_by,
            role=made.stage,
            # The reason belongs to the decision, not to the start of the review.
            reason_code=None if state is State.IN_REVIEW else made.reason_code,
            comment=None if state is State.IN_REVIEW else made.comment,
            # One microsecond apart, so that their times give their order.
            occurred_at=made.decided_at + timedelta(microseconds=index),
        )
        for index, (before, state) in enumerate(zip((case.state, *states), states, strict=False))
    ]

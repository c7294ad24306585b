"""The use cases of proposals: one person proposes a change of a loan, another confirms it, which makes the change."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.errors import ContentRefused
from services.intake.idempotency import Answers, IdempotentRequest, Made
from services.intake.proposals.domain import (
    FLAGS,
    NOT_BY_WHO_GRANTED,
    Classification,
    ClassificationRefused,
    Classifications,
    Proposal,
    ProposalKind,
    ProposalState,
    SettlementRefused,
    Standing,
    Wish,
    confirming_roles,
    granted_the_loan,
)
from services.intake.proposals.errors import (
    ClassificationNotAllowed,
    NobodyConfirms,
    NotYoursToPropose,
    ProposalChanged,
    ProposalNotFound,
    ProposalOutdated,
    ProposalSettled,
    SecondPersonNeeded,
)
from services.intake.proposals.metrics import LOAN_PROPOSALS
from services.intake.proposals.repository import ProposalRepository
from services.intake.servicing.domain import EntryFaulty, Kind, Loan, Transaction, TransactionRefused
from services.intake.servicing.errors import LoanBusy, NoSuchLoan, TransactionNotAllowed
from services.intake.servicing.metrics import LOAN_TRANSACTIONS
from services.intake.servicing.repository import ServicingRepository
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.domain.dates import today


@dataclass(frozen=True, slots=True)
class Rules:
    """The configuration of the use cases.

    `zone`: the time zone of the business's calendar; `lock_wait_seconds`: how long to wait for the lock of the
    loan; `overpayment_tolerance`: as of servicing.
    """

    zone: ZoneInfo
    lock_wait_seconds: int
    overpayment_tolerance: Decimal


class Proposals:
    """The use cases of proposals over one lake."""

    def __init__(
        self,
        lake: Lake,
        repository: ProposalRepository,
        loans: ServicingRepository,
        answers: Answers,
        rules: Rules,
    ) -> None:
        """Store the dependencies of the use cases.

        Args:
            lake: where loans are.
            repository: the SQL of proposals.
            loans: the SQL of loans and their transactions.
            answers: the answers to earlier requests.
            rules: what they go by.
        """
        self._lake = lake
        self._repository = repository
        self._loans = loans
        self._answers = answers
        self._rules = rules

    async def proposal(self, proposal_id: UUID, *, by: Caller) -> Proposal:
        """The proposal; raises ProposalNotFound."""
        async with self._lake.reading() as reader:
            return await self._proposal(reader, proposal_id, by)

    async def page(
        self,
        after: Cursor | None,
        limit: int,
        *,
        by: Caller,
        state: ProposalState | None = None,
        loan_id: UUID | None = None,
        confirmable: bool = False,
    ) -> list[Proposal]:
        """At most `limit` proposals that the caller may see, oldest first.

        Args:
            after: where the page starts.
            limit: most of the page.
            by: who asks.
            state: only those in it.
            loan_id: only those under this loan; raises NoSuchLoan.
            confirmable: only those that the caller may confirm.
        """
        async with self._lake.reading() as reader:
            if loan_id is not None and not await self._loans.sees(reader, loan_id, by):
                raise NoSuchLoan(loan_id)
            return await self._repository.proposals(
                reader, by, after, limit, state=state, loan_id=loan_id, confirmable=confirmable
            )

    async def classifications(self, loan_id: UUID, *, by: Caller) -> list[Standing]:
        """All classifications of the loan, in the order of recording; raises NoSuchLoan."""
        async with self._lake.reading() as reader:
            if not await self._loans.sees(reader, loan_id, by):
                raise NoSuchLoan(loan_id)
            return list(await self._repository.classifications(reader, loan_id))

    async def propose(
        self,
        loan_id: UUID,
        wish: Wish,
        *,
        by: Caller,
        request: IdempotentRequest,
    ) -> Made[Proposal]:
        """Add a proposal for another person to confirm, unless this request did before.

        The loan's current state must allow the change; the check is repeated at the confirmation.

        Raises RequestInFlight, IdempotencyKeyReused, NoSuchLoan, NotYoursToPropose, ContentRefused,
        TransactionNotAllowed, ClassificationNotAllowed, NobodyConfirms.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            if earlier := await self._answers.earlier(tx, by.id, request):
                if not await self._loans.sees(tx, loan_id, by):
                    raise NoSuchLoan(loan_id)
                return earlier.shows(await self._repository.proposal(tx, earlier.made_id, by))
            loan = await self._loan(tx, loan_id, by)
            if wish.kind is not ProposalKind.CLASSIFICATION and "loans:service" not in by.scopes:
                raise NotYoursToPropose("Your role classifies loans; servicing proposes the rest.")
            if faults := list(wish.faults()):
                raise ContentRefused(faults)
            day, at = today(self._rules.zone), datetime.now(UTC)
            proposal = Proposal(
                id=uuid7(),
                loan_id=loan_id,
                booked_by=await self._repository.booker(tx, loan_id),
                kind=wish.kind,
                amount=wish.amount or loan.principal,
                currency=wish.currency or loan.currency,
                effective_on=wish.effective_on or day,
                reverses=wish.reverses,
                classification=wish.classification,
                ends=wish.ends if wish.kind is ProposalKind.CLASSIFICATION else None,
                reason=wish.reason,
                state=ProposalState.WAITING,
                revision=1,
                proposed_by=by.id,
                proposed_at=at,
            )
            try:
                await self._check(tx, loan, proposal, day)
            except EntryFaulty as faulty:
                raise ContentRefused(faulty.faults) from None
            if not await self._confirming(tx, proposal, loan):
                raise NobodyConfirms(
                    f"No band of {proposal.kind} has {proposal.amount:f} {proposal.currency}; have one added."
                )
            await self._repository.add(tx, proposal)
            made = await self._answers.keep(tx, by.id, request, proposal, at)
        LOAN_PROPOSALS.labels(proposal.kind, proposal.state).inc()
        return made

    async def confirm(self, proposal_id: UUID, *, expected: int, by: Caller) -> Proposal:
        """Confirm a proposal and make its change, in one transaction.

        Raises ProposalNotFound, ProposalSettled, ProposalChanged, SecondPersonNeeded, LoanBusy, ProposalOutdated,
        TransactionNotAllowed, ClassificationNotAllowed.
        """
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            loan = await self._loan(tx, waiting.loan_id, by)
            await self._check_confirmer(tx, waiting, loan, by)
            at = datetime.now(UTC)
            confirmed = replace(
                waiting,
                state=ProposalState.CONFIRMED,
                revision=expected + 1,
                confirmed_by=by.id,
                confirmed_at=at,
            )
            try:
                standing = await self._check(tx, loan, waiting, today(self._rules.zone))
            except EntryFaulty as faulty:
                raise ProposalOutdated(faulty) from None
            # Settle the proposal first: the rows of the change refer to it.
            await self._settle(tx, confirmed)
            if waiting.kind is ProposalKind.CLASSIFICATION:
                await self._classify(tx, confirmed, standing)
            else:
                await self._record(tx, confirmed, loan, standing)
        if confirmed.kind is not ProposalKind.CLASSIFICATION:
            LOAN_TRANSACTIONS.labels(confirmed.kind).inc()
        return self._counted(confirmed)

    async def reject(self, proposal_id: UUID, comment: str, *, expected: int, by: Caller) -> Proposal:
        """Reject another person's proposal.

        Raises ProposalNotFound, ProposalSettled, ProposalChanged, SecondPersonNeeded, LoanBusy.
        """
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            try:
                loan = await self._loan(tx, waiting.loan_id, by)
                waiting.check_rejecter(by.id, by.roles, await self._confirming(tx, waiting, loan))
            except SettlementRefused as refused:
                raise SecondPersonNeeded(refused) from None
            rejected = replace(_refused(waiting, by), state=ProposalState.REJECTED, comment=comment)
            await self._settle(tx, rejected)
        return self._counted(rejected)

    async def withdraw(self, proposal_id: UUID, *, expected: int, by: Caller) -> Proposal:
        """Withdraw one's own proposal.

        Raises ProposalNotFound, ProposalSettled, ProposalChanged, SecondPersonNeeded, LoanBusy.
        """
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            try:
                waiting.check_withdrawer(by.id)
            except SettlementRefused as refused:
                raise SecondPersonNeeded(refused) from None
            withdrawn = replace(_refused(waiting, by), state=ProposalState.WITHDRAWN)
            await self._settle(tx, withdrawn)
        return self._counted(withdrawn)

    @asynccontextmanager
    async def _settling(
        self, proposal_id: UUID, expected: int, by: Caller
    ) -> AsyncGenerator[tuple[LakeTransaction, Proposal]]:
        """A transaction in which the proposal waits and its loan stays as it is until the commit."""
        async with self._lake.transaction(actor=str(by.id)) as tx:
            found = await self._proposal(tx, proposal_id, by)
            if not await tx.try_lock(f"loan:{found.loan_id}", self._rules.lock_wait_seconds):
                raise LoanBusy
            # Read it again: somebody may have settled it during the wait for the lock.
            waiting = await self._proposal(tx, proposal_id, by)
            if waiting.state is not ProposalState.WAITING:
                raise ProposalSettled(waiting.state)
            if waiting.revision != expected:
                raise ProposalChanged(f"Revision {expected} is not current; read the proposal again.")
            yield tx, waiting

    async def _settle(self, tx: LakeTransaction, settled: Proposal) -> None:
        if not await self._repository.settle(tx, settled):
            raise ProposalChanged("Somebody has settled it meanwhile; read the proposal again.")

    async def _check_confirmer(self, tx: LakeTransaction, waiting: Proposal, loan: Loan, by: Caller) -> None:
        """A booked loan gets no more decisions, so its approvers cannot change and need no lock."""
        try:
            waiting.check_confirmer(by.id, by.roles, await self._confirming(tx, waiting, loan))
            if waiting.kind in NOT_BY_WHO_GRANTED and await self._repository.has_approved(
                tx, by.id, waiting.loan_id
            ):
                raise granted_the_loan(waiting.kind)
        except SettlementRefused as refused:
            raise SecondPersonNeeded(refused) from None

    async def _confirming(self, reader: LakeReader, proposal: Proposal, loan: Loan) -> frozenset[str]:
        bands = await self._repository.bands(reader)
        return confirming_roles(bands, proposal.kind, proposal.judged_amount(loan), proposal.currency)

    async def _check(self, reader: LakeReader, loan: Loan, proposal: Proposal, day: date) -> Classifications:
        """Check that the loan allows the proposed change; returns the loan's classifications."""
        standing = Classifications(await self._repository.classifications(reader, loan.id))
        try:
            if proposal.classification is not None:
                standing.check(
                    proposal.classification,
                    ends=bool(proposal.ends),
                    on=proposal.effective_on,
                    value_date=loan.value_date,
                    today=day,
                )
            else:
                loan.check(proposal.entry, day, self._rules.overpayment_tolerance)
        except TransactionRefused as refused:
            raise TransactionNotAllowed(refused) from None
        except ClassificationRefused as refused:
            raise ClassificationNotAllowed(str(refused)) from None
        return standing

    async def _record(
        self, tx: LakeTransaction, confirmed: Proposal, loan: Loan, standing: Classifications
    ) -> None:
        recorded = Transaction.of(
            confirmed.entry,
            id=uuid7(),
            loan_id=confirmed.loan_id,
            by=confirmed.proposed_by,
            at=_confirmed_at(confirmed),
            proposal_id=confirmed.id,
            confirmed_by=confirmed.confirmed_by,
        )
        await self._loans.add(tx, recorded)
        after = replace(loan, transactions=(*loan.transactions, recorded))
        whole = bool(after.total(Kind.WRITE_OFF)) and not after.outstanding_principal
        current = standing.open(Classification.WRITTEN_OFF)
        if whole and current is None:
            await self._begin(tx, confirmed, Classification.WRITTEN_OFF)
        elif current is not None and not whole:
            await self._end(tx, confirmed, current)

    async def _classify(self, tx: LakeTransaction, confirmed: Proposal, standing: Classifications) -> None:
        classification = Classification(confirmed.classification or "")
        current = standing.open(classification)
        if current is not None:
            await self._end(tx, confirmed, current)
        else:
            await self._begin(tx, confirmed, classification)
        # The current classifications, in columns of the loan.
        await self._repository.set_flag(tx, confirmed.loan_id, FLAGS[classification], value=current is None)

    async def _begin(self, tx: LakeTransaction, confirmed: Proposal, classification: Classification) -> None:
        await self._repository.begin(
            tx,
            Standing(
                id=uuid7(),
                loan_id=confirmed.loan_id,
                classification=classification,
                effective_from=confirmed.effective_on,
                effective_to=None,
                reason=confirmed.reason,
                proposal_id=confirmed.id,
                proposed_by=confirmed.proposed_by,
                confirmed_by=confirmed.confirmed_by,
                ending_proposal_id=None,
                ending_confirmed_by=None,
                recorded_at=_confirmed_at(confirmed),
                migrated=False,
            ),
        )

    async def _end(self, tx: LakeTransaction, confirmed: Proposal, current: Standing) -> None:
        # The effective day of a reversal may be before the last of several write-offs.
        on = max(confirmed.effective_on, current.effective_from or confirmed.effective_on)
        await self._repository.end(tx, current, on, confirmed.id, _confirmer(confirmed))

    async def _proposal(self, reader: LakeReader, proposal_id: UUID, by: Caller) -> Proposal:
        proposal = await self._repository.proposal(reader, proposal_id, by)
        if proposal is None:
            raise ProposalNotFound(proposal_id)
        return proposal

    async def _loan(self, reader: LakeReader, loan_id: UUID, by: Caller) -> Loan:
        loan = await self._loans.loan(reader, loan_id, by, schedule=True)
        if loan is None:
            raise NoSuchLoan(loan_id)
        return loan

    @staticmethod
    def _counted(settled: Proposal) -> Proposal:
        LOAN_PROPOSALS.labels(settled.kind, settled.state).inc()
        return settled


def _refused(waiting: Proposal, by: Caller) -> Proposal:
    return replace(waiting, revision=waiting.revision + 1, refused_by=by.id, refused_at=datetime.now(UTC))


def _confirmer(confirmed: Proposal) -> UUID:
    if confirmed.confirmed_by is None:
        raise ValueError(f"proposal {confirmed.id} is not confirmed")
    return confirmed.confirmed_by


def _confirmed_at(confirmed: Proposal) -> datetime:
    if confirmed.confirmed_at is None:
        raise ValueError(f"proposal {confirmed.id} is not confirmed")
    return confirmed.confirmed_at

"""The use cases of servicing: record transactions under loans, each in one database transaction, and show loans."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.chassis.web.identity import Caller
from services.intake.errors import ContentRefused
from services.intake.idempotency import Answers, IdempotentRequest, Made
from services.intake.servicing.domain import (
    Entry,
    EntryFaulty,
    Kind,
    Loan,
    LoanSummary,
    Transaction,
    TransactionRefused,
)
from services.intake.servicing.errors import LoanBusy, NoSuchLoan, TransactionNotAllowed
from services.intake.servicing.metrics import LOAN_TRANSACTIONS
from services.intake.servicing.repository import ServicingRepository
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.domain.dates import today


@dataclass(frozen=True, slots=True)
class Recording:
    """A transaction that one person may record; without a day it is effective today."""

    kind: Kind
    amount: Decimal
    currency: str
    effective_on: date | None


class Servicing:
    """The use cases of servicing over one lake."""

    def __init__(
        self,
        lake: Lake,
        repository: ServicingRepository,
        answers: Answers,
        *,
        zone: ZoneInfo,
        lock_wait_seconds: int,
        overpayment_tolerance: Decimal,
    ) -> None:
        """Store the dependencies of the use cases.

        Args:
            lake: the database that holds the loans.
            repository: its SQL.
            answers: the answers to earlier requests.
            zone: the time zone of the business's calendar.
            lock_wait_seconds: how long to wait for the lock of the loan.
            overpayment_tolerance: the allowed overpayment, as a fraction of the principal.
        """
        self._lake = lake
        self._repository = repository
        self._answers = answers
        self._zone = zone
        self._lock_wait_seconds = lock_wait_seconds
        self._overpayment_tolerance = overpayment_tolerance

    async def loan(self, loan_id: UUID, *, by: Caller) -> Loan:
        """The loan; raises NoSuchLoan."""
        async with self._lake.reading() as reader:
            return await self._loan(reader, loan_id, by, schedule=True)

    async def loans(
        self, after: UUID | None, limit: int, *, by: Caller
    ) -> tuple[list[LoanSummary], UUID | None]:
        """A page of the caller's loans, and behind which the next one starts; None on the last page."""
        async with self._lake.reading() as reader:
            found = await self._repository.loans(reader, by, after, limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def record(
        self,
        loan_id: UUID,
        recording: Recording,
        *,
        by: Caller,
        request: IdempotentRequest,
    ) -> Made[Transaction]:
        """Record a transaction under a loan, unless this request did before.

        Raises RequestInFlight, IdempotencyKeyReused, LoanBusy, NoSuchLoan, ContentRefused, TransactionNotAllowed.
        """
        async with self._lake.transaction(actor=str(by.id)) as tx:
            if earlier := await self._answers.earlier(tx, by.id, request):
                # An answer must show no more than its caller may see now.
                if not await self._repository.sees(tx, loan_id, by):
                    raise NoSuchLoan(loan_id)
                return earlier.shows(await self._repository.transaction(tx, earlier.made_id))
            recorded = await self.put(tx, loan_id, recording, by=by)
            made = await self._answers.keep(tx, by.id, request, recorded, recorded.recorded_at)
        LOAN_TRANSACTIONS.labels(recorded.kind).inc()
        return made

    async def put(
        self, tx: LakeTransaction, loan_id: UUID, recording: Recording, *, by: Caller
    ) -> Transaction:
        """Record a transaction under a loan as a part of a database transaction.

        Raises LoanBusy, NoSuchLoan, ContentRefused, TransactionNotAllowed.
        """
        # The rules depend on all of the loan's transactions, so they must not change until the commit.
        if not await tx.try_lock(f"loan:{loan_id}", self._lock_wait_seconds):
            raise LoanBusy
        loan = await self._loan(tx, loan_id, by, schedule=True)
        day = today(self._zone)
        entry = Entry(
            recording.kind, recording.amount, recording.currency, recording.effective_on or day, None
        )
        try:
            loan.check(entry, day, self._overpayment_tolerance)
        except EntryFaulty as faulty:
            raise ContentRefused(faulty.faults) from None
        except TransactionRefused as refused:
            raise TransactionNotAllowed(refused) from None
        recorded = Transaction.of(entry, id=uuid7(), loan_id=loan_id, by=by.id, at=datetime.now(UTC))
        await self._repository.add(tx, recorded)
        return recorded

    async def _loan(self, reader: LakeReader, loan_id: UUID, by: Caller, *, schedule: bool) -> Loan:
        loan = await self._repository.loan(reader, loan_id, by, schedule=schedule)
        if loan is None:
            raise NoSuchLoan(loan_id)
        return loan

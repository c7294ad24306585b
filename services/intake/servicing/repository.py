"""All SQL of servicing: loans with their schedules and transactions."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.web.identity import Caller
from services.intake.servicing.domain import Kind, Loan, LoanSummary, Transaction
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.schedule import Instalment
from services.lake.tables import instalment, loan, loan_transaction

_INSTALMENT_COLUMNS = [instalment.c[name] for name in Instalment.__dataclass_fields__]
_TRANSACTION_COLUMNS = [loan_transaction.c[name] for name in Transaction.__dataclass_fields__]
_LOAN_COLUMNS = [loan.c[name] for name in Loan.__dataclass_fields__ if name in loan.c]

INSERT_TRANSACTION = sa.insert(loan_transaction)


def select_loan(loan_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read a loan's own row, if `caller` may see it."""
    return sa.select(*_LOAN_COLUMNS).where(loan.c.id == loan_id, access.loans(caller))


def select_loans(caller: Caller, after: UUID | None, limit: int) -> sa.Select[Any]:
    """Read a page of the loans that `caller` may see, in the order that the database gives ids, behind `after`."""
    recorded = loan_transaction.c
    disbursed_on = sa.select(sa.func.min(recorded.effective_on)).where(
        recorded.loan_id == loan.c.id, recorded.kind == Kind.DISBURSEMENT
    )
    transactions = sa.select(sa.func.count()).where(recorded.loan_id == loan.c.id)
    query = (
        sa.select(
            *_LOAN_COLUMNS,
            disbursed_on.scalar_subquery().label("value_date"),
            transactions.scalar_subquery().label("transactions"),
        )
        .where(access.loans(caller))
        .order_by(loan.c.id)
        .limit(limit)
    )
    return query if after is None else query.where(loan.c.id > after)


def select_instalments(loan_id: UUID) -> sa.Select[Any]:
    """Read a loan's schedule, in its order."""
    return (
        sa.select(*_INSTALMENT_COLUMNS).where(instalment.c.loan_id == loan_id).order_by(instalment.c.number)
    )


def select_transactions(loan_id: UUID) -> sa.Select[Any]:
    """Read what was recorded under a loan, in the order of recording."""
    return (
        sa.select(*_TRANSACTION_COLUMNS)
        .where(loan_transaction.c.loan_id == loan_id)
        .order_by(loan_transaction.c.recorded_at, loan_transaction.c.id)
    )


def select_transaction(transaction_id: UUID) -> sa.Select[Any]:
    """Read one transaction."""
    return sa.select(*_TRANSACTION_COLUMNS).where(loan_transaction.c.id == transaction_id)


class ServicingRepository:
    """Reads loans and adds transactions, always in the caller's transaction; has no state."""

    async def sees(self, reader: LakeReader, loan_id: UUID, caller: Caller) -> bool:
        """Whether there is such a loan for `caller`."""
        return await reader.scalar(select_loan(loan_id, caller)) is not None

    async def loan(self, reader: LakeReader, loan_id: UUID, caller: Caller, *, schedule: bool) -> Loan | None:
        """The loan with its transactions, and with its schedule where it is asked for; or None."""
        row = (await reader.execute(select_loan(loan_id, caller))).mappings().first()
        if row is None:
            return None
        instalments = None
        if schedule:
            rows = (await reader.execute(select_instalments(loan_id))).mappings()
            instalments = tuple(Instalment(**one) for one in rows)
        transactions = (await reader.execute(select_transactions(loan_id))).mappings()
        return Loan(
            **row, instalments=instalments, transactions=tuple(_transaction(one) for one in transactions)
        )

    async def transaction(self, reader: LakeReader, transaction_id: UUID) -> Transaction | None:
        """The transaction of a loan that the caller sees, or None."""
        row = (await reader.execute(select_transaction(transaction_id))).mappings().first()
        return None if row is None else _transaction(row)

    async def loans(
        self, reader: LakeReader, caller: Caller, after: UUID | None, limit: int
    ) -> list[LoanSummary]:
        """A page of the loans that `caller` may see, behind `after`, in the database's order of ids."""
        rows = (await reader.execute(select_loans(caller, after, limit))).mappings()
        return [LoanSummary(**row) for row in rows]

    async def add(self, tx: LakeTransaction, new: Transaction) -> None:
        """Record a transaction."""
        await tx.execute(INSERT_TRANSACTION, asdict(new))


def _transaction(row: sa.RowMapping) -> Transaction:
    return Transaction(**{**row, "kind": Kind(row["kind"])})


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that servicing can run."""
    some = UUID(int=1)
    yield INSERT_TRANSACTION
    for caller in access.examples():
        yield select_loan(some, caller)
        yield select_loans(caller, None, 1)
        yield select_loans(caller, some, 1)
    yield select_instalments(some)
    yield select_transactions(some)
    yield select_transaction(some)

"""Writes rows as a part of a transaction, each once, by the rules that the API's requests follow."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from services.chassis.web.identity import Caller
from services.intake.domain import OLDEST, YOUNGEST, Fault
from services.intake.errors import ContentRefused, DuplicateNationalId
from services.intake.imports.domain import LOCK_WAIT_SECONDS, ImportKind, RowRefused, WrittenRow
from services.intake.imports.errors import ImportsBusy
from services.intake.imports.repository import ImportRepository
from services.intake.imports.rows import ApplicationRow, PaymentRow, Row, participants
from services.intake.service import Intake
from services.intake.servicing.domain import Kind
from services.intake.servicing.errors import NoSuchLoan, TransactionNotAllowed
from services.intake.servicing.metrics import LOAN_TRANSACTIONS
from services.intake.servicing.service import Servicing
from services.lake.database import LakeTransaction

_BORROWER = f"the borrower needs a birth date, by which they are {YOUNGEST} to {OLDEST} years old today"


class Outcome(StrEnum):
    """What became of a row; a repeated one was written before."""

    MADE = "made"
    REPEATED = "repeated"
    REJECTED = "rejected"


class RowWriter:
    """Writes rows of one sender; holds no state of them."""

    def __init__(self, repository: ImportRepository, intake: Intake, servicing: Servicing) -> None:
        """The SQL of imports, and the use cases whose steps rows take."""
        self._repository = repository
        self._intake = intake
        self._servicing = servicing

    async def begin(
        self, tx: LakeTransaction, kind: ImportKind, references: list[str], *, by: Caller
    ) -> dict[str, bytes]:
        """The rows of these `references` that the sender has had written before, with their hashes.

        Until the transaction ends nobody else writes rows of this kind for the sender: of two files with the same row
        the second finds it written. Raises ImportsBusy.
        """
        if not await tx.try_lock(f"import:{by.id}:{kind}", LOCK_WAIT_SECONDS):
            raise ImportsBusy
        if not references:
            return {}
        return await self._repository.written(tx, by.id, kind, references)

    async def write(
        self,
        tx: LakeTransaction,
        row: Row,
        known: dict[str, bytes],
        *,
        reference: str,
        sha256: bytes,
        by: Caller,
        also: Sequence[str] = (),
        import_id: UUID | None = None,
        line: int | None = None,
    ) -> Outcome:
        """Write a row, unless it was written before.

        Args:
            tx: the transaction, in which `begin` was called.
            row: what to write.
            known: what `begin` gave; the row is added.
            reference: the identity of the row.
            sha256: the hash of what it says.
            by: its sender, whose rights count.
            also: further references by which it is known from now on, all of them given to `begin`.
            import_id: the import that it belongs to.
            line: the line in which it begins there.

        Raises:
            RowRefused: it cannot be written as it is; the transaction can only be rolled back.
            Unavailable: somebody else is changing the same party or loan; it can be written later.
        """
        references = (reference, *also)
        if earlier := {known[one] for one in references if one in known}:
            if earlier != {sha256}:
                raise RowRefused(
                    Fault(
                        "/external_ref", "another row was sent with this number, and it says something else"
                    )
                )
            return Outcome.REPEATED
        kind, record_id = await self._made(tx, row, by)
        for one in references:
            written = WrittenRow(
                sender=by.id,
                kind=kind,
                reference=one,
                sha256=sha256,
                record_id=record_id,
                recorded_at=datetime.now(UTC),
                import_id=import_id,
                line=line,
            )
            await self._repository.add_row(tx, written)
            known[one] = sha256
        return Outcome.MADE

    def committed(self, made: list[Row]) -> None:
        """Count what the rows have become, after the commit, and have done what follows from it."""
        submitted = sum(isinstance(row, ApplicationRow) and row.application.submit for row in made)
        self._intake.count_submitted(submitted)
        if payments := Counter(type(row) for row in made)[PaymentRow]:
            LOAN_TRANSACTIONS.labels(Kind.PAYMENT).inc(payments)

    async def _made(self, tx: LakeTransaction, row: Row, by: Caller) -> tuple[ImportKind, UUID]:
        try:
            if isinstance(row, PaymentRow):
                recorded = await self._servicing.put(tx, row.loan_id, row.to_domain(), by=by)
                return ImportKind.PAYMENTS, recorded.id
            return ImportKind.APPLICATIONS, await self._applied(tx, row, by)
        except NoSuchLoan:
            raise RowRefused(Fault("/loan_id", "there is no such loan")) from None
        except TransactionNotAllowed as refused:
            raise RowRefused(Fault("", refused.detail or refused.title())) from None
        except ContentRefused as refused:
            raise RowRefused(*_faults(refused, "")) from None

    async def _applied(self, tx: LakeTransaction, row: ApplicationRow, by: Caller) -> UUID:
        try:
            party = await self._intake.put_party(tx, row.party.to_domain(), by=by)
        except DuplicateNationalId as refused:
            # Of whose parties it is, the answer to POST /parties says; the report is no place for their ids.
            raise RowRefused(Fault("/party/national_id", refused.title().lower())) from None
        except ContentRefused as refused:
            raise RowRefused(*_faults(refused, "/party")) from None
        content = row.application.content(participants(party.id))
        try:
            application = await self._intake.put_application(
                tx, content, submit=row.application.submit, by=by
            )
        except ContentRefused as refused:
            raise RowRefused(*_faults(refused, "/application")) from None
        return application.id


def _faults(refused: ContentRefused, place: str) -> Iterator[Fault]:
    for error in refused.extensions["errors"]:
        pointer = error["pointer"].removeprefix("/body")
        if pointer.startswith("/parties"):
            # The row's only party is new: what can be wrong is its age, which would tell its birth date.
            yield Fault("/party/birth_date", _BORROWER)
        else:
            yield Fault(place + pointer, error["detail"])

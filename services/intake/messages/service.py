"""The use cases of records: write one, or keep it as rejected; read and sweep what was rejected."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from services.chassis.engines import is_transient
from services.chassis.error_names import error_name
from services.chassis.objects.interface import ObjectDamaged
from services.chassis.objects.sealed import Keys, seal, unseal
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.chassis.web.problems import Unavailable, problem_details
from services.intake.domain import Fault
from services.intake.imports.domain import LOCK_WAIT_SECONDS, ImportKind, RowRefused
from services.intake.imports.formats import LARGEST_ROW_BYTES
from services.intake.imports.rows import ReadRow
from services.intake.imports.writing import Outcome, RowWriter
from services.intake.messages.domain import KEPT, RIGHTS, Origin, Received, RejectedRecord, traced
from services.intake.messages.errors import NoSuchRejectedRecord, PayloadUnreadable, RecordRejected
from services.intake.messages.metrics import RECORDS
from services.intake.messages.reading import ReadRecord, read
from services.intake.messages.repository import RejectedRepository
from services.intake.upkeep import repeat
from services.lake.database import Lake

ACTOR = "intake"
SWEEP_SECONDS = 3600.0
DELETE_ROWS = 1_000
_UNREAD = "could not be read; the error was logged"
_UNWRITTEN = "could not be written; the error was logged"

_log = get_logger(__name__)


class Messages:
    """Handles records one by one, each in a transaction of its own."""

    def __init__(self, lake: Lake, repository: RejectedRepository, writer: RowWriter, keys: Keys) -> None:
        """`keys` encrypt the payloads of rejected records."""
        self._lake = lake
        self._repository = repository
        self._writer = writer
        self._keys = keys
        for kind in ImportKind:
            for outcome in Outcome:
                # From 0: an alert on an increase does not see the first of a series that begins with 1.
                RECORDS.labels(kind, outcome)

    async def handle(self, record: Received) -> Outcome:
        """Write a record, unless it was written before, or keep it as rejected.

        Afterwards its offset can be committed: handling it again has no further effect.

        Raises:
            Exception: a fault of the platform; nothing is known to be wrong with the record, and it is to be handled
                again.
        """
        outcome = await self._handled(record)
        RECORDS.labels(record.origin.kind, outcome).inc()
        return outcome

    async def _handled(self, record: Received) -> Outcome:
        found = _read(record)
        if found.row.row is None:
            return await self._reject(record, found, *found.row.faults)
        for is_last in (False, True):
            try:
                return await self._write(record, found)
            except RowRefused as refused:
                return await self._reject(record, found, *refused.faults)
            except Unavailable:
                raise
            except Exception as error:
                if is_transient(error):
                    raise
                # One record that fails in a way that nobody foresaw must not stop the others.
                _log.error("a record could not be written", **_place(record), error=error_name(error))
                if is_last:
                    break
        return await self._reject(record, found, Fault("", _UNWRITTEN))

    async def _write(self, record: Received, found: ReadRecord) -> Outcome:
        row = found.row.row
        if row is None:
            raise ValueError("the record was not understood")
        by = sender_of(record.origin)
        reference, *also = found.references
        async with self._lake.transaction(actor=str(by.id)) as tx:
            known = await self._writer.begin(tx, record.origin.kind, list(found.references), by=by)
            outcome = await self._writer.write(
                tx, row, known, reference=reference, also=also, sha256=found.row.sha256, by=by
            )
        if outcome is Outcome.MADE:
            self._writer.committed([row])
        return outcome

    async def _reject(self, record: Received, found: ReadRecord, *faults: Fault) -> Outcome:
        record_id, value = uuid7(), record.value
        rejected = RejectedRecord(
            id=record_id,
            sender=record.origin.sender,
            kind=record.origin.kind,
            topic=record.topic,
            partition_number=record.partition,
            record_offset=record.offset,
            reference=found.references[0] if found.references else None,
            problem=problem_details(RecordRejected(faults), f"/rejected-records/{record_id}"),
            payload_bytes=None if value is None else len(value),
            traceparent=traced(record.traceparent),
            received_at=datetime.now(UTC),
            # What is too long to be a row is not worth the room of the lake.
            payload=None if value is None else seal(self._keys, str(record_id), value[:LARGEST_ROW_BYTES]),
        )
        async with self._lake.transaction(actor=ACTOR) as tx:
            # A process that has lost the partition may still be handling the same record.
            if not await tx.try_lock(f"rejected:{record.topic}:{record.partition}", LOCK_WAIT_SECONDS):
                raise Unavailable
            if await self._repository.add(tx, rejected):
                _log.warning("a record was rejected", **_place(record), rejected_id=str(record_id))
        return Outcome.REJECTED


class RejectedRecords:
    """Shows auditors what was rejected, and deletes it when it is old."""

    def __init__(self, lake: Lake, repository: RejectedRepository, keys: Keys | None) -> None:
        """Without `keys` no payload can be decrypted."""
        self._lake = lake
        self._repository = repository
        self._keys = keys

    async def page(
        self, sender: UUID | None, kind: ImportKind | None, after: Cursor | None, limit: int
    ) -> list[RejectedRecord]:
        """At most `limit` rejected records without payloads, the newest first."""
        async with self._lake.reading() as reader:
            return await self._repository.page(reader, sender, kind, after, limit)

    async def one(self, record_id: UUID, *, by: Caller) -> tuple[RejectedRecord, bytes | None]:
        """A rejected record and its payload.

        Raises:
            NoSuchRejectedRecord: there is none with this id.
            PayloadUnreadable: its key is not set here any more.
        """
        async with self._lake.reading() as reader:
            found = await self._repository.one(reader, record_id)
        if found is None:
            raise NoSuchRejectedRecord(record_id)
        if found.payload is None:
            return found, None
        # It is personal data in clear: who has read it stays known.
        _log.info("a rejected record was read", rejected_id=str(record_id), reader=str(by.id))
        if self._keys is None:
            raise PayloadUnreadable("OBJECT_STORE_KEYS is not set.")
        try:
            return found, unseal(self._keys, str(record_id), found.payload)
        except ObjectDamaged:
            raise PayloadUnreadable("Set the key of OBJECT_STORE_KEYS with which it was encrypted.") from None

    async def delete_old(self) -> int:
        """Delete about DELETE_ROWS of those that were kept for longer than KEPT; returns their number."""
        async with self._lake.transaction(actor=ACTOR) as tx:
            # One process is enough.
            if not await tx.try_lock("intake:rejected-records"):
                return 0
            return await self._repository.delete(tx, datetime.now(UTC) - KEPT, DELETE_ROWS)

    async def keep_recent(self) -> None:
        """Delete old ones again and again; runs until it is cancelled."""

        async def delete_all() -> None:
            while await self.delete_old():
                pass

        failure = "old rejected records could not be deleted"
        await repeat(delete_all, seconds=SWEEP_SECONDS, failure=failure)


def sender_of(origin: Origin) -> Caller:
    """The sender of a topic, with the rights that its records need."""
    rights = RIGHTS[origin.kind]
    return Caller(origin.sender, "", frozenset({str(rights.role)}), rights.scopes)


def _read(record: Received) -> ReadRecord:
    try:
        return read(record)
    except Exception as error:  # noqa: BLE001 - one record that fails as nobody foresaw must not stop the others
        _log.error("a record could not be read", **_place(record), error=error_name(error))
        return ReadRecord(ReadRow(0, None, (Fault("", _UNREAD),)))


def _place(record: Received) -> dict[str, str | int]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}

"""All SQL of rejected records."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from services.chassis.database import beyond
from services.chassis.web.paging import Cursor
from services.intake.imports.domain import ImportKind
from services.intake.messages.domain import RejectedRecord
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import rejected_record

INSERT_RECORD = sa.insert(rejected_record)
_OWN = rejected_record.c
_SHOWN = [_OWN[name] for name in RejectedRecord.__dataclass_fields__ if name != "payload"]


def select_records(
    sender: UUID | None, kind: ImportKind | None, after: Cursor | None, limit: int
) -> sa.Select[Any]:
    """Read a page of rejected records without their payloads, the newest first."""
    query = sa.select(*_SHOWN).order_by(_OWN.received_at.desc(), _OWN.id.desc()).limit(limit)
    if sender is not None:
        query = query.where(_OWN.sender == sender)
    if kind is not None:
        query = query.where(_OWN.kind == kind)
    if after is not None:
        query = query.where(beyond(_OWN.received_at, _OWN.id, (after.at, after.id), descending=True))
    return query


def select_record(record_id: UUID) -> sa.Select[Any]:
    """Read a rejected record with its payload."""
    return sa.select(*_SHOWN, _OWN.payload).where(_OWN.id == record_id)


def select_kept(topic: str, partition: int, offset: int) -> sa.Select[Any]:
    """Read whether the record of a place was rejected before."""
    return sa.select(sa.literal(1)).where(
        _OWN.topic == topic, _OWN.partition_number == partition, _OWN.record_offset == offset
    )


def delete_records(before: datetime, limit: int) -> sa.Delete:
    """Delete about `limit` of those that were received before an instant, the oldest first."""
    at = _OWN.received_at
    oldest = sa.select(at).where(at < before).order_by(at).limit(limit).subquery()
    return sa.delete(rejected_record).where(
        at <= sa.select(sa.func.max(oldest.c.received_at)).scalar_subquery()
    )


class RejectedRepository:
    """Reads and writes rejected records, always in the caller's transaction; has no state."""

    async def add(self, tx: LakeTransaction, record: RejectedRecord) -> bool:
        """Insert a rejected record; False when the record of its place was rejected before."""
        place = (record.topic, record.partition_number, record.record_offset)
        if await tx.scalar(select_kept(*place)) is not None:
            return False
        problem = orjson.dumps(record.problem).decode()
        await tx.execute(INSERT_RECORD, {**asdict(record), "problem": problem})
        return True

    async def page(
        self,
        reader: LakeReader,
        sender: UUID | None,
        kind: ImportKind | None,
        after: Cursor | None,
        limit: int,
    ) -> list[RejectedRecord]:
        """A page of rejected records without their payloads, the newest first."""
        rows = (await reader.execute(select_records(sender, kind, after, limit))).mappings()
        return [_record(row) for row in rows]

    async def one(self, reader: LakeReader, record_id: UUID) -> RejectedRecord | None:
        """A rejected record with its encrypted payload, or None."""
        row = (await reader.execute(select_record(record_id))).mappings().first()
        return None if row is None else _record(row)

    async def delete(self, tx: LakeTransaction, before: datetime, limit: int) -> int:
        """Delete about `limit` of those that were received before an instant; returns their number."""
        return (await tx.execute(delete_records(before, limit))).rowcount


def _record(row: sa.RowMapping) -> RejectedRecord:
    payload = row.get("payload")
    return RejectedRecord(
        **{
            **row,
            "kind": ImportKind(row["kind"]),
            "problem": orjson.loads(row["problem"]),
            "payload": None if payload is None else bytes(payload),
        }
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on rejected records that intake can run."""
    some, at = UUID(int=1), datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield INSERT_RECORD
    yield select_records(None, None, None, 1)
    yield select_records(some, ImportKind.APPLICATIONS, Cursor(at, some), 1)
    yield select_record(some)
    yield select_kept("intake.applications", 0, 0)
    yield delete_records(at, 1)

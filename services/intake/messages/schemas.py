"""Bodies of the HTTP API of rejected records."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from services.chassis.web.paging import Cursor, Cursors
from services.intake.imports.domain import ImportKind
from services.intake.messages.domain import RejectedRecord


class RecordFault(BaseModel):
    """What is wrong with a part of a record."""

    pointer: Annotated[str, Field(description="JSON pointer into the record.")]
    detail: str


class RecordProblem(BaseModel):
    """Why a record was rejected: problem details as RFC 9457 has them. It never says what the record says."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str | None = None
    errors: list[RecordFault]


class RejectedRecordView(BaseModel):
    """A record of Kafka that was not written, and why; `payload_bytes` is null for a record without a value."""

    id: UUID
    sender: UUID
    kind: ImportKind
    topic: str
    partition: int
    offset: int
    reference: Annotated[str | None, Field(description="The sender's number of it, where it was understood.")]
    problem: RecordProblem
    payload_bytes: int | None
    traceparent: Annotated[str | None, Field(description="The header of the record.")]
    received_at: datetime

    @classmethod
    def of(cls, one: RejectedRecord, **more: Any) -> Self:
        """Show a rejected record."""
        return cls(
            id=one.id,
            sender=one.sender,
            kind=one.kind,
            topic=one.topic,
            partition=one.partition_number,
            offset=one.record_offset,
            reference=one.reference,
            problem=RecordProblem.model_validate(one.problem),
            payload_bytes=one.payload_bytes,
            traceparent=one.traceparent,
            received_at=one.received_at,
            **more,
        )


class RejectedRecordContent(RejectedRecordView):
    """A rejected record with what it says; of a value that is longer than 64 KiB the first 64 KiB."""

    payload: str | None
    encoding: Annotated[
        Literal["utf-8", "base64"],
        Field(description="How `payload` is written; base64 for what is not UTF-8."),
    ]

    @classmethod
    def showing(cls, one: RejectedRecord, payload: bytes | None) -> Self:
        """Show a rejected record and its payload."""
        if payload is None:
            return cls.of(one, payload=None, encoding="utf-8")
        try:
            return cls.of(one, payload=payload.decode(), encoding="utf-8")
        except UnicodeDecodeError:
            return cls.of(one, payload=base64.b64encode(payload).decode(), encoding="base64")


class RejectedRecordPage(BaseModel):
    """A page of rejected records, the newest first; `next` is the next page's `after`, null on the last page."""

    items: list[RejectedRecordView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[RejectedRecord], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].received_at, page[-1].id) if len(found) > limit else None
        return cls(items=[RejectedRecordView.of(one) for one in page], next=cursors.next(more))

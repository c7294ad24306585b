"""SQL of the answers to earlier requests, by which a repeated one is recognised.

Of an answer only its status and the id of what was made are kept. Its content would keep personal data after the data
itself was changed or deleted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import idempotency_key

INSERT_ANSWER = sa.insert(idempotency_key)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a request with this SHA-256 was answered with, and the id of what it made."""

    request_sha256: bytes
    status: int
    made_id: UUID


def select_answer(caller: UUID, key: str) -> sa.Select[Any]:
    """Read what is kept for a caller's key."""
    kept = idempotency_key.c
    return sa.select(kept.request_sha256, kept.status, kept.made_id).where(
        kept.caller == caller, kept.key == key
    )


def delete_answers(before: datetime, limit: int) -> sa.Delete:
    """Delete about `limit` of those that were kept before an instant, the oldest first."""
    at = idempotency_key.c.created_at
    oldest = sa.select(at).where(at < before).order_by(at).limit(limit).subquery()
    return sa.delete(idempotency_key).where(
        at <= sa.select(sa.func.max(oldest.c.created_at)).scalar_subquery()
    )


class AnswerRepository:
    """Reads and writes kept answers, always in the caller's transaction; has no state."""

    async def kept_answer(self, reader: LakeReader, caller: UUID, key: str) -> KeptAnswer | None:
        """What is kept for this caller's key, or None."""
        row = (await reader.execute(select_answer(caller, key))).first()
        return None if row is None else KeptAnswer(bytes(row.request_sha256), row.status, row.made_id)

    async def keep_answer(
        self, tx: LakeTransaction, caller: UUID, key: str, kept: KeptAnswer, at: datetime
    ) -> None:
        """Keep an answer for this caller's key."""
        await tx.execute(
            INSERT_ANSWER,
            {
                "caller": caller,
                "key": key,
                "request_sha256": kept.request_sha256,
                "status": kept.status,
                "made_id": kept.made_id,
                "created_at": at,
            },
        )

    async def delete_answers(self, tx: LakeTransaction, before: datetime, limit: int) -> int:
        """Delete about `limit` of those that were kept before an instant; returns their number."""
        return (await tx.execute(delete_answers(before, limit))).rowcount


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of kept answers."""
    yield INSERT_ANSWER
    yield select_answer(UUID(int=1), "key")
    yield delete_answers(datetime.min.replace(tzinfo=UTC), 1)

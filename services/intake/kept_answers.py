"""SQL of the answers to earlier requests, by which a repeated one is recognised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.intake.domain import Answer, Application
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import idempotency_key

INSERT_ANSWER = sa.insert(idempotency_key)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer with the SHA-256 of the request that it belongs to."""

    request_sha256: bytes
    answer: Answer


def select_answer(caller: UUID, key: str) -> sa.Select[Any]:
    """Read the stored answer for a caller's key."""
    return sa.select(idempotency_key).where(idempotency_key.c.caller == caller, idempotency_key.c.key == key)


def select_answers_about(caller: UUID, application_id: UUID, since: datetime) -> sa.Select[Any]:
    """Read which requests of a caller were answered, `since` an instant, with an application or a document of it."""
    kept = idempotency_key.c
    return sa.select(kept.key, kept.request_sha256, kept.created_at).where(
        kept.caller == caller,
        kept.created_at >= since,
        # In what somebody wrote, JSON has a backslash before each quotation mark.
        sa.or_(*(kept.response.like(f'%"{name}":"{application_id}"%') for name in ("id", "application_id"))),
    )


def delete_answers(caller: UUID, keys: Sequence[str]) -> sa.Delete:
    """Remove the stored answers for a caller's keys."""
    return sa.delete(idempotency_key).where(
        idempotency_key.c.caller == caller, idempotency_key.c.key.in_(keys)
    )


class AnswerRepository:
    """Reads and writes kept answers, always in the caller's transaction; has no state."""

    async def kept_answer(self, reader: LakeReader, caller: UUID, key: str) -> KeptAnswer | None:
        """The answer kept for this caller's key, or None."""
        row = (await reader.execute(select_answer(caller, key))).mappings().first()
        if row is None:
            return None
        return KeptAnswer(bytes(row["request_sha256"]), Answer(row["status"], row["response"]))

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
                "status": kept.answer.status,
                "response": kept.answer.body,
                "created_at": at,
            },
        )

    async def replace_answers(self, tx: LakeTransaction, about: Application, answer: Answer) -> None:
        """Put `answer` in the place of those answers to its maker that show an application or its documents."""
        maker = about.created_by
        found = await tx.execute(select_answers_about(maker, about.id, about.created_at))
        if kept := [dict(row) for row in found.mappings()]:
            await tx.execute(delete_answers(maker, [row["key"] for row in kept]))
            given = {"caller": maker, "status": answer.status, "response": answer.body}
            await tx.execute(INSERT_ANSWER, [row | given for row in kept])


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of kept answers."""
    some = UUID(int=1)
    yield INSERT_ANSWER
    yield select_answer(some, "key")
    yield select_answers_about(some, some, datetime.min.replace(tzinfo=UTC))
    yield delete_answers(some, ["key"])

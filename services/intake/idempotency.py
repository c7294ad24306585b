"""Idempotency: a repeated request gets the first answer and has no further effect."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake import errors
from services.intake.domain import Answer, Application
from services.intake.kept_answers import AnswerRepository, KeptAnswer
from services.lake.database import LakeReader, LakeTransaction

_DELETED = Answer(410, "")
"""In the place of an answer whose content was deleted."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The identity of a request: its key, and the SHA-256 of its content."""

    key: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer to a request; `replayed` when it is the answer to an earlier request."""

    answer: Answer
    replayed: bool


class Answers:
    """The stored answers; each is stored in the transaction of its request."""

    def __init__(self) -> None:
        self._repository = AnswerRepository()

    async def earlier(self, tx: LakeTransaction, by: UUID, request: IdempotentRequest) -> GivenAnswer | None:
        """The earlier answer to this request of `by`; None: execute the request, and `keep` the answer.

        Raises RequestInFlight, IdempotencyKeyReused, AnswerDeleted.
        """
        # For two requests with one key, the second must not read before the first has committed its answer.
        if not await tx.try_lock(f"intake:{by}:{request.key}"):
            raise errors.RequestInFlight
        kept = await self._repository.kept_answer(tx, by, request.key)
        if kept is None:
            return None
        if kept.request_sha256 != request.sha256:
            raise errors.IdempotencyKeyReused
        if kept.answer == _DELETED:
            raise errors.AnswerDeleted
        return GivenAnswer(kept.answer, replayed=True)

    async def has(self, reader: LakeReader, by: UUID, key: str) -> bool:
        """Whether a request of `by` with this key was answered; `earlier` compares the requests."""
        return await self._repository.kept_answer(reader, by, key) is not None

    async def forget(self, tx: LakeTransaction, deleted: Application) -> None:
        """Clear the answers that show an application which is deleted; their requests still have no further effect."""
        await self._repository.replace_answers(tx, deleted, _DELETED)

    async def keep(
        self, tx: LakeTransaction, by: UUID, request: IdempotentRequest, answer: Answer, at: datetime
    ) -> GivenAnswer:
        """Store the answer to a request."""
        await self._repository.keep_answer(tx, by, request.key, KeptAnswer(request.sha256, answer), at)
        return GivenAnswer(answer, replayed=False)

"""Idempotency: a repeated request is answered with what the first one made, and has no further effect."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID

from services.intake import errors
from services.intake.kept_answers import AnswerRepository, KeptAnswer
from services.intake.upkeep import repeat
from services.lake.database import Lake, LakeReader, LakeTransaction

CREATED = 201
KEPT = timedelta(days=7)
"""How long a repeated request is recognised at least."""
DELETE_EVERY_SECONDS = 3600.0
DELETE_ROWS = 1_000


class HasId(Protocol):
    """Something that a request can make."""

    @property
    def id(self) -> UUID:
        """By which it is read again."""


T = TypeVar("T")
Thing = TypeVar("Thing", bound=HasId)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The identity of a request: its key, and the SHA-256 of its content."""

    key: str
    sha256: bytes

    @classmethod
    def saying(cls, key: str, said: str) -> Self:
        """The request with this key; `said`: what it asks for, and all of its content."""
        return cls(key, hashlib.sha256(said.encode()).digest())


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a request made, as it is now; `replayed` when an earlier request with the same key made it.

    `status` is that of the answer.
    """

    what: T
    status: int = CREATED
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Earlier:
    """The answer to an earlier request: its status, and the id of what it made."""

    status: int
    made_id: UUID

    def shows(self, what: T | None) -> Made[T]:
        """The answer again; `what` it made as the caller sees it now. Raises AnswerDeleted when there is nothing."""
        if what is None:
            raise errors.AnswerDeleted
        return Made(what, self.status, replayed=True)


class Answers:
    """The answers to earlier requests; each is kept in the transaction of its request."""

    def __init__(self) -> None:
        self._repository = AnswerRepository()

    async def earlier(self, tx: LakeTransaction, by: UUID, request: IdempotentRequest) -> Earlier | None:
        """The earlier answer to this request of `by`; None: execute the request, and `keep` what it made.

        Raises RequestInFlight, IdempotencyKeyReused.
        """
        # For two requests with one key, the second must not read before the first has committed its answer.
        if not await tx.try_lock(f"intake:{by}:{request.key}"):
            raise errors.RequestInFlight
        kept = await self._repository.kept_answer(tx, by, request.key)
        if kept is None:
            return None
        if kept.request_sha256 != request.sha256:
            raise errors.IdempotencyKeyReused
        return Earlier(kept.status, kept.made_id)

    async def has(self, reader: LakeReader, by: UUID, key: str) -> bool:
        """Whether a request of `by` with this key was answered; `earlier` compares the requests."""
        return await self._repository.kept_answer(reader, by, key) is not None

    async def keep(
        self,
        tx: LakeTransaction,
        by: UUID,
        request: IdempotentRequest,
        made: Thing,
        at: datetime,
        *,
        status: int = CREATED,
    ) -> Made[Thing]:
        """Keep the answer to a request of `by`, which made `made`."""
        kept = KeptAnswer(request.sha256, status, made.id)
        await self._repository.keep_answer(tx, by, request.key, kept, at)
        return Made(made, status)

    async def delete_old(self, lake: Lake) -> int:
        """Delete about DELETE_ROWS of the answers that were kept for longer than KEPT; returns their number."""
        async with lake.transaction(actor="intake") as tx:
            # One process is enough.
            if not await tx.try_lock("intake:kept-answers"):
                return 0
            return await self._repository.delete_answers(tx, datetime.now(UTC) - KEPT, DELETE_ROWS)

    async def keep_recent(self, lake: Lake) -> None:
        """Delete old ones again and again; runs until it is cancelled."""

        async def delete_all() -> None:
            while await self.delete_old(lake):
                pass

        failure = "old answers to requests could not be deleted"
        await repeat(delete_all, seconds=DELETE_EVERY_SECONDS, failure=failure)

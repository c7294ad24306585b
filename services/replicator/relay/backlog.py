"""The age of the backlog while Kafka does not answer: nothing is sent then that would tell it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Protocol

from aiokafka.errors import KafkaError

from services.lake.journal.model import Position
from services.lake.journal.reader import Change
from services.replicator.progress import Backlog

PATIENCE_SECONDS = 5.0
"""How long Kafka may take to answer before the journal is asked what waits; as long as a broker may need."""


class Changes(Protocol):
    """Reads the journal."""

    async def read(self, after: Position, limit: int) -> Sequence[Change]:
        """Read at most `limit` changes above `after`, in order."""
        ...


@asynccontextmanager
async def telling_backlog(
    journal: Changes, after: Position, backlog: Backlog, *, patience_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[None]:
    """Tell `backlog` of the first change above `after` when the block takes long, or fails because of Kafka.

    Args:
        journal: is read only then.
        after: where the relay goes on.
        backlog: is told.
        patience_seconds: how long the block may take.
    """

    async def tell() -> None:
        if waiting := await journal.read(after, 1):
            backlog.waits(waiting[0].captured_at.replace(tzinfo=UTC))

    async def tell_later() -> None:
        await asyncio.sleep(patience_seconds)
        await tell()

    later = asyncio.create_task(tell_later())
    try:
        yield
    except (KafkaError, OSError):
        await tell()
        raise
    finally:
        later.cancel()
        await asyncio.gather(later, return_exceptions=True)

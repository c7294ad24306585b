"""Database A: the lake, whose transactions carry an actor and a trace.

A transaction is one PRODUCER span. Its context and the actor go into the database session, from where the capture
triggers copy them into every journal row of the transaction.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis.database import Database, Session
from services.chassis.telemetry.spans import current_traceparent
from services.lake.journal.dialect import JournalDialect, journal_dialect


@dataclass(frozen=True, slots=True)
class LakeReader(Session):
    """Reads of the lake."""

    dialect: JournalDialect


class LakeTransaction(LakeReader):
    """One transaction of the lake; capture records its writes with its actor and trace."""

    async def try_lock(self, name: str, wait_seconds: int = 0) -> bool:
        """Take the lock `name` (≤ 200 characters) until the transaction ends; False when it was not granted in time.

        By default it does not wait. After a wait that failed, the transaction can only be rolled back.
        """
        return await self.dialect.try_lock(self.connection, name, wait_seconds)


class Lake(Database):
    """Database A: where applications, decisions and loans are written."""

    role = "lake"
    dialect: JournalDialect

    def __init__(self, engine: AsyncEngine) -> None:
        """Use a ready pool of connections; `open` makes one."""
        super().__init__(engine)
        self.dialect = journal_dialect(engine.dialect.name)
        self.dialect.install(engine)

    @asynccontextmanager
    async def transaction(self, *, actor: str) -> AsyncIterator[LakeTransaction]:
        """Open a transaction, committed at the end of the block and rolled back on any exception.

        Args:
            actor: the user's id or the process's name; written into every journal row.
        """
        # PRODUCER: the journal, the topic and the replica's writer continue the context of this span.
        async with self.begin(SpanKind.PRODUCER) as connection:
            await self.dialect.set_context(connection, actor, current_traceparent())
            yield LakeTransaction(connection, self.dialect)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[LakeReader]:
        """Open a transaction that only reads."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield LakeReader(connection, self.dialect)

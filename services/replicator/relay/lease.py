"""Which relay may send, and from where: one row in the application database.

The lease makes two relays at once unlikely; it cannot make it impossible (a stopped process wakes up with its
records half sent). What makes it harmless is the epoch, which every record carries and the sink checks.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from services.lake.journal.model import Position
from services.replicator.errors import LeaseLost
from services.replicator.relay.held import COMMAND, Held
from services.replicator.store import StopKind, StoppedTable, stop_tables, stopped_tables


@dataclass(slots=True)
class Cursor:
    """How far the relay is: everything up to `position` was acknowledged by Kafka.

    `captured_at` is that of the change at `position`; `sent` maps `topic/partition` to the last position sent there,
    as text. `held` are the tables of which not everything was, `stopping` those of them that are to be stopped now,
    and why.
    """

    incarnation: UUID | None
    position: Position
    captured_at: datetime | None
    sent: dict[str, str] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    stopping: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Owner:
    """A relay as the lease knows it: its name, and the epoch that this process was given last.

    Before its first epoch it takes the lease from whoever has its name: from itself before a restart. From then on the
    name is not enough, or two relays of one name would take the lease from each other for ever.
    """

    name: str
    epoch: int | None = None


class Lease:
    """The relay's hold on its one row."""

    def __init__(self, connection: asyncpg.Connection, *, owner: Owner, seconds: float) -> None:
        self._connection = connection
        self._owner = owner
        self._seconds = seconds
        self.epoch = 0

    async def acquire(self) -> Cursor | None:
        """Take the lease with a new epoch and give the cursor, or None while another relay holds it."""
        async with self._connection.transaction():
            # An epoch that a crash of the server could take back would be given to two relays.
            await self._connection.execute("SET LOCAL synchronous_commit = on")
            row = await self._connection.fetchrow(
                """
                UPDATE replication.relay
                SET owner = $1, epoch = epoch + 1, expires_at = clock_timestamp() + make_interval(secs => $2),
                    working_since = NULL
                WHERE expires_at < clock_timestamp() OR (owner = $1 AND ($3::bigint IS NULL OR epoch = $3))
                RETURNING epoch, incarnation, position_major, position_minor, captured_at, sent, held
                """,
                self._owner.name,
                self._seconds,
                self._owner.epoch,
            )
        if row is None:
            return None
        self.epoch = self._owner.epoch = row["epoch"]
        return Cursor(
            row["incarnation"],
            Position(row["position_major"], row["position_minor"]),
            row["captured_at"],
            orjson.loads(row["sent"]),
            {table: Held.from_json(kept) for table, kept in orjson.loads(row["held"]).items()},
        )

    async def renew(self, silent_seconds: float) -> None:
        """Hold on for another while; Kafka has acknowledged nothing for `silent_seconds`.

        Raises:
            LeaseLost: when another relay has it.
        """
        status = await self._connection.execute(
            "UPDATE replication.relay SET expires_at = clock_timestamp() + make_interval(secs => $3), "
            "acknowledged_at = clock_timestamp() - make_interval(secs => $4), "
            "working_since = coalesce(working_since, clock_timestamp()) WHERE owner = $1 AND epoch = $2",
            self._owner.name,
            self.epoch,
            self._seconds,
            silent_seconds,
        )
        self._check(status)

    async def save(self, cursor: Cursor) -> None:
        """Remember how far the relay is; a relay that lost its lease changes nothing.

        Raises:
            LeaseLost: when another relay has it.
        """
        if cursor.stopping:
            # In one transaction: a cursor that has passed a table's changes says so where people look.
            async with self._connection.transaction():
                await self._save(cursor)
                await stop_tables(
                    self._connection,
                    [
                        StoppedTable(table, StopKind.RELAY, reason, f"{COMMAND} {table}")
                        for table, reason in cursor.stopping.items()
                    ],
                )
        else:
            await self._save(cursor)

    async def _save(self, cursor: Cursor) -> None:
        status = await self._connection.execute(
            """
            UPDATE replication.relay
            SET incarnation = $3, position_major = $4, position_minor = $5, captured_at = $6, sent = $7, held = $9,
                saved_at = clock_timestamp(), acknowledged_at = clock_timestamp(),
                working_since = coalesce(working_since, clock_timestamp()),
                expires_at = clock_timestamp() + make_interval(secs => $8)
            WHERE owner = $1 AND epoch = $2
            """,
            self._owner.name,
            self.epoch,
            cursor.incarnation,
            cursor.position.major,
            cursor.position.minor,
            cursor.captured_at,
            orjson.dumps(cursor.sent).decode(),
            self._seconds,
            orjson.dumps({table: held.as_json() for table, held in cursor.held.items()}).decode(),
        )
        self._check(status)

    async def stopped(self) -> set[str]:
        """The stopped tables, whoever stopped them."""
        return set(await stopped_tables(self._connection))

    async def release(self) -> None:
        """Let the next relay begin at once."""
        await self._connection.execute(
            "UPDATE replication.relay SET expires_at = '-infinity' WHERE owner = $1 AND epoch = $2",
            self._owner.name,
            self.epoch,
        )

    def _check(self, status: str) -> None:
        if status != "UPDATE 1":
            raise LeaseLost(
                f"the lease of {self._owner.name} with epoch {self.epoch} was taken over by another relay"
            )

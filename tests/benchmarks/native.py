"""PostgreSQL's own logical replication, as the upper limit for comparison."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from tests.conftest import Database

NATIVE = "native"


class Native:
    """PostgreSQL's logical replication of the same table, into a database of its own."""

    def __init__(self, lake: Database, target: Database) -> None:
        self.lake, self.target = lake, target

    async def prepare(self) -> None:
        """From now on keep what the lake writes, for a subscriber that comes later."""
        async with self.target.connect() as connection:
            # The apply worker commits under the publisher's timestamp, so the row must say when it was applied.
            await connection.execute(
                "ALTER TABLE credit.party ADD COLUMN applied_at timestamptz DEFAULT clock_timestamp()"
            )
        async with self.lake.connect() as connection:
            await connection.execute(f"CREATE PUBLICATION {NATIVE} FOR TABLE credit.party")
            # On one server the slot must exist before, or CREATE SUBSCRIPTION waits for its own transaction.
            await connection.execute(
                "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", f"native_{self.lake.name}"
            )

    async def start(self) -> None:
        """Let the subscriber begin."""
        url = sa.make_url(self.lake.url())
        async with self.target.connect() as connection:
            await connection.execute(
                f"CREATE SUBSCRIPTION {NATIVE} CONNECTION "
                f"'host={url.host} port={url.port} user={url.username} password={url.password} dbname={url.database}' "
                f"PUBLICATION {NATIVE} WITH (create_slot = false, slot_name = 'native_{self.lake.name}', "
                "copy_data = false)"
            )

    async def caught_up(self, until: str) -> None:
        """Wait until the subscriber has confirmed a position of the write-ahead log."""
        async with self.lake.connect() as connection:
            while not await connection.fetchval(
                "SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $2",
                until,
                f"native_{self.lake.name}",
            ):
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Remove subscription, slot and publication."""
        async with self.target.connect() as connection:
            await connection.execute(f"DROP SUBSCRIPTION IF EXISTS {NATIVE}")
        async with self.lake.connect() as connection:
            await connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1",
                f"native_{self.lake.name}",
            )
            await connection.execute(f"DROP PUBLICATION IF EXISTS {NATIVE}")

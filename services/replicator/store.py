"""The bookkeeping that relay, sink and verification share, in schema `replication` of the application database."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import asyncpg

from services.lake.journal.model import Position


class StopKind(StrEnum):
    """What has found that a table must be stopped; each kind is written and cleared by its finder alone."""

    SCHEMA = "schema"
    """The sink: the replica's table cannot follow the newest definition."""
    CAPTURE = "capture"
    """The relay, in the lake's catalogue: the images of the table cannot be trusted."""
    RELAY = "relay"
    """The relay: a change fits no record."""


class StoppedTable(NamedTuple):
    """A table (`schema.name`) of which nothing is applied until a person has run `command`."""

    table: str
    kind: StopKind
    reason: str
    command: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


class PartitionProgress(NamedTuple):
    """How far one partition is relayed and applied; `updated_at` is None until a sink has taken it over."""

    topic: str
    partition: int
    relayed: Position
    applied: Position
    updated_at: datetime | None

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"

    def has_applied(self, position: Position) -> bool:
        """Return whether a sink has applied everything up to `position`."""
        return self.updated_at is not None and self.applied >= position


async def partition_progress(connection: asyncpg.Connection) -> list[PartitionProgress]:
    """Return the progress of every partition that the relay has sent to, by topic and number."""
    rows = await connection.fetch(
        "SELECT topic, partition, relayed_major, relayed_minor, applied_major, applied_minor, updated_at "
        "FROM replication.partition_progress ORDER BY topic, partition"
    )
    return [
        PartitionProgress(
            row["topic"],
            row["partition"],
            Position(row["relayed_major"], row["relayed_minor"]),
            Position(row["applied_major"], row["applied_minor"]),
            row["updated_at"],
        )
        for row in rows
    ]


async def stopped_tables(connection: asyncpg.Connection) -> dict[str, StoppedTable]:
    """Return every stopped table by its name."""
    rows = await connection.fetch("SELECT table_name, kind, reason, command FROM replication.stopped_table")
    return {
        row["table_name"]: StoppedTable(
            row["table_name"], StopKind(row["kind"]), row["reason"], row["command"]
        )
        for row in rows
    }


async def stop_tables(
    connection: asyncpg.Connection, stops: Collection[StoppedTable], *, replace: bool = True
) -> None:
    """Stop tables, or correct why they are stopped; `replace` says whether stops of another kind are overwritten."""
    await connection.execute(
        """
        INSERT INTO replication.stopped_table (table_name, kind, reason, command)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
        ON CONFLICT (table_name) DO UPDATE
        SET kind = EXCLUDED.kind, reason = EXCLUDED.reason, command = EXCLUDED.command
        WHERE $5 OR stopped_table.kind = EXCLUDED.kind
        """,
        [stop.table for stop in stops],
        [stop.kind.value for stop in stops],
        [stop.reason for stop in stops],
        [stop.command for stop in stops],
        replace,
    )


async def clear_stops(connection: asyncpg.Connection, kind: StopKind, *, but: Collection[str]) -> None:
    """Let every table go on that was stopped for `kind`, except the tables in `but`."""
    await connection.execute(
        "DELETE FROM replication.stopped_table WHERE kind = $1 AND table_name <> ALL ($2::text[])",
        kind.value,
        list(but),
    )


async def clear_stop(connection: asyncpg.Connection, table: str, kind: StopKind | None = None) -> None:
    """Let one table go on; with `kind`, only if it was stopped for that."""
    await connection.execute(
        "DELETE FROM replication.stopped_table WHERE table_name = $1 AND ($2::text IS NULL OR kind = $2)",
        table,
        None if kind is None else kind.value,
    )


def by_kind(stops: Mapping[str, StoppedTable], kind: StopKind) -> dict[str, StoppedTable]:
    """Return the stops of one kind."""
    return {table: stop for table, stop in stops.items() if stop.kind is kind}

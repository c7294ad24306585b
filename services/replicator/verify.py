"""Prove that the lake and the replica hold the same rows, while changes go on; name every row that differs.

Both engines hash each row's canonical text and add the hashes up by bucket (a bucket is the hash of the key, so
no key is ever compared outside its database). Buckets that differ are listed on both sides. A key that differs
is looked at again after everything captured meanwhile has been applied: one that became equal was under way, one
that still differs with the same row in the lake is a mismatch, one whose row keeps changing is unstable.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from services.chassis.database import Lake
from services.chassis.dialects import CapturedTable, Dialect, Position, PostgreSQL
from services.lake.journal import JournalReader

BUCKETS = 256
ROUNDS = 3
WAIT_POLL_SECONDS = 0.05

_REPLICA: Dialect = PostgreSQL()


class NotCaughtUp(Exception):
    """The replica did not reach the position to be verified in time."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One row that differs: `missing` or `extra` in the replica, `different`, or `unstable`."""

    table: str
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What one verification found, up to which position of the journal."""

    position: Position
    rows: int
    findings: tuple[Mismatch, ...]
    started_at: datetime
    finished_at: datetime

    @property
    def mismatches(self) -> int:
        """Rows that really differ."""
        return sum(finding.kind != "unstable" for finding in self.findings)

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same rows."""
        return self.mismatches == 0


class Verifier:
    """Compares the two databases; reads only, but for its own result."""

    def __init__(self, lake: Lake, replica: asyncpg.Connection, *, wait_seconds: float) -> None:
        self._lake = lake
        self._journal = JournalReader(lake)
        self._replica = replica
        self._wait_seconds = wait_seconds

    async def run(self) -> Verification:
        """Verify every captured table and store the result.

        Raises:
            NotCaughtUp: when the replica does not reach the journal's position in time.
        """
        started_at = datetime.now(UTC)
        position = await self._wait_for_replica()
        # Newest definition last: one entry a table.
        tables = {table.full_name: table for table in (await self._journal.definitions()).values()}
        rows = 0
        findings: list[Mismatch] = []
        for table in tables.values():
            count, found = await self._compare(table)
            rows += count
            findings += found
        result = Verification(position, rows, tuple(findings), started_at, datetime.now(UTC))
        await self._store(result)
        return result

    async def _wait_for_replica(self) -> Position:
        """Wait until everything captured so far is applied; give that position."""
        position = await self._journal.last_position()
        deadline = time.monotonic() + self._wait_seconds
        while True:
            behind = await self._replica.fetch(
                """
                SELECT place FROM replication.relay CROSS JOIN jsonb_object_keys(sent) AS place
                LEFT JOIN replication.sink_offset AS o ON place = o.topic || '/' || o.partition
                WHERE o.topic IS NULL OR (o.position_major, o.position_minor) < ($1::bigint, $2::bigint)
                ORDER BY place
                """,
                position.major,
                position.minor,
            )
            relayed = await self._replica.fetchval(
                "SELECT (position_major, position_minor) >= ($1::bigint, $2::bigint) FROM replication.relay",
                position.major,
                position.minor,
            )
            if relayed and not behind:
                return position
            if time.monotonic() > deadline:
                named = ", ".join(row["place"] for row in behind[:5]) or "the relay's cursor"
                raise NotCaughtUp(
                    f"position {position} was not reached in {self._wait_seconds:.0f} s by {named}"
                    f"{' and others' if len(behind) > 5 else ''}: see that relay and sink run"
                )
            await asyncio.sleep(WAIT_POLL_SECONDS)

    async def _compare(self, table: CapturedTable) -> tuple[int, list[Mismatch]]:
        lake, replica = await asyncio.gather(self._lake_digest(table), self._replica_digest(table))
        rows = sum(count for count, _ in lake.values())
        suspects = [b for b in set(lake) | set(replica) if lake.get(b) != replica.get(b)]
        differing: dict[str, tuple[int | None, int | None]] = {}
        unstable: set[str] = set()
        for number in range(ROUNDS):
            if not suspects:
                return rows, []
            await self._wait_for_replica()
            now: dict[str, tuple[int | None, int | None]] = {}
            still = []
            for bucket in suspects:
                found = await self._differences(table, bucket)
                now |= found
                if found:
                    still.append(bucket)
            suspects = still
            if number:
                # Seen before with another row in the lake: it is being written right now.
                unstable |= {key for key in now if key in differing and differing[key][0] != now[key][0]}
                differing = {key: pair for key, pair in now.items() if key in differing}
            else:
                differing = now
        return rows, [
            Mismatch(table.full_name, key, "unstable" if key in unstable else _kind(*pair))
            for key, pair in sorted(differing.items())
        ]

    async def _differences(
        self, table: CapturedTable, bucket: int
    ) -> dict[str, tuple[int | None, int | None]]:
        async with self._lake.engine.connect() as connection:
            result = await connection.exec_driver_sql(self._lake.dialect.row_hashes(table, BUCKETS, bucket))
            rows: Sequence[Any] = result.all()
        lake = {row[0]: int(row[1]) for row in rows}
        records = await self._replica.fetch(_REPLICA.row_hashes(table, BUCKETS, bucket))
        replica = {row[0]: int(row[1]) for row in records}
        return {
            key: (lake.get(key), replica.get(key))
            for key in lake.keys() | replica.keys()
            if lake.get(key) != replica.get(key)
        }

    async def _lake_digest(self, table: CapturedTable) -> dict[int, tuple[int, int]]:
        async with self._lake.engine.connect() as connection:
            result = await connection.exec_driver_sql(self._lake.dialect.row_hashes(table, BUCKETS))
            rows: Sequence[Any] = result.all()
        return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}

    async def _replica_digest(self, table: CapturedTable) -> dict[int, tuple[int, int]]:
        rows: Sequence[asyncpg.Record] = await self._replica.fetch(_REPLICA.row_hashes(table, BUCKETS))
        return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}

    async def _store(self, result: Verification) -> None:
        async with self._replica.transaction():
            number = await self._replica.fetchval(
                "INSERT INTO replication.verification "
                "(started_at, finished_at, position_major, position_minor, rows_compared, mismatches, unstable) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                result.started_at,
                result.finished_at,
                result.position.major,
                result.position.minor,
                result.rows,
                result.mismatches,
                len(result.findings) - result.mismatches,
            )
            await self._replica.executemany(
                "INSERT INTO replication.mismatch (verification_id, table_name, key, kind) VALUES ($1, $2, $3, $4)",
                [(number, finding.table, finding.key, finding.kind) for finding in result.findings],
            )


def _kind(lake: int | None, replica: int | None) -> str:
    if replica is None:
        return "missing"
    return "extra" if lake is None else "different"

"""Prove that the lake and the replica hold the same rows, while changes go on; name every row that differs.

Both engines hash each row's canonical text and add the hashes up by bucket (a bucket is the hash of the key, so
no key is ever compared outside its database). Buckets that differ are listed on both sides. A key that differs
is looked at again after everything captured meanwhile has been applied: one that became equal was under way, one
that still differs with the same row in the lake is a mismatch, one whose row keeps changing is unstable. The lake's
foreign keys, which the replica does not have, are checked there too: a row without its parent that stays so is an
orphan.
"""

import asyncio
import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from services.lake.database import Lake
from services.lake.journal.model import CapturedTable, Position
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.journal.reader import JournalReader
from services.lake.tables import CAPTURED
from services.replicator.replica.tables import standing_at
from services.replicator.store import stopped_tables
from services.replicator.verification.catchup import POLL_SECONDS, NotCaughtUp, catch_up

__all__ = ["Mismatch", "NotCaughtUp", "Verification", "Verifier"]

BUCKETS = 256
ROUNDS = 3
MOST_ROWS_AT_ONCE = 200_000
"""Of each side: their keys and hashes are held in memory to be compared."""
MOST_ORPHANS = 10_000
KEPT_VERIFICATIONS = 100
FOLLOW_SECONDS = 5.0
"""How long the sink may take to follow a new definition, in seconds, however long the catch-up took."""
"""How many verifications, the last ones, keep the rows that they found different."""

_REPLICA = PostgreSQLJournal()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One row that differs: `missing` or `extra` in the replica, `different`, `orphan`, or `unstable`."""

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
    stopped: tuple[str, ...] = ()
    """Tables whose replication is stopped: they were not compared."""

    @property
    def mismatches(self) -> int:
        """Rows that really differ."""
        return sum(finding.kind != "unstable" for finding in self.findings)

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same rows, of every table."""
        return self.mismatches == 0 and not self.stopped


class Verifier:
    """Compares the two databases; reads only, but for its own result."""

    def __init__(self, lake: Lake, replica: asyncpg.Connection, *, wait_seconds: float) -> None:
        self._lake = lake
        self._journal = JournalReader(lake)
        self._replica = replica
        self._wait_seconds = wait_seconds

    async def run(self) -> Verification:
        """Verify every captured table whose replication is not stopped, and store the result.

        Raises:
            NotCaughtUp: when the replica does not reach the journal's position, or its definitions, in time.
        """
        started_at = datetime.now(UTC)
        deadline = time.monotonic() + self._wait_seconds
        position = await self._wait_for_replica()
        tables, stopped = await self._standing(await self._tables(), deadline)
        rows = 0
        findings: list[Mismatch] = []
        for table in tables.values():
            count, found = await self._compare(table)
            rows += count
            findings += found
        named = {(finding.table, finding.key) for finding in findings}
        findings += [o for o in await self._orphans(tables) if (o.table, o.key) not in named]
        result = Verification(
            position, rows, tuple(findings), started_at, datetime.now(UTC), tuple(sorted(stopped))
        )
        await self._store(result)
        return result

    async def check(self, table: str, keys: Collection[str]) -> tuple[Mismatch, ...]:
        """Compare the rows of `table` with `keys` alone, after everything captured so far is applied.

        Raises:
            NotCaughtUp: when the replica does not reach the journal's position, or its definitions, in time.
            KeyError: `table` is not captured.
        """
        deadline = time.monotonic() + self._wait_seconds
        definition = (await self._tables())[table]
        await self._wait_for_replica()
        going, _ = await self._standing({table}, deadline)
        definition = going.get(table, definition)
        sizes = {bucket: count for bucket, (count, _) in (await self._lake_digest(definition)).items()}
        suspects = {bucket: sizes.get(bucket, 0) for bucket in map(_bucket, keys)}
        return tuple(await self._confirm(definition, suspects, frozenset(keys)))

    async def _tables(self) -> dict[str, CapturedTable]:
        # Newest definition last: one entry a table.
        return {table.full_name: table for table in (await self._journal.definitions()).values()}

    async def _standing(
        self, names: Collection[str], deadline: float
    ) -> tuple[dict[str, CapturedTable], set[str]]:
        """The tables of these names once the replica has followed their newest definitions, and all that are stopped.

        A definition is followed by the sink, which looks for new ones every second: a change may be applied before.
        """
        deadline = max(deadline, time.monotonic() + FOLLOW_SECONDS)
        while True:
            tables, stopped = await self._tables(), await self._stopped()
            going = {name: table for name, table in tables.items() if name in names and name not in stopped}
            behind = [name for name, table in going.items() if not await self._stands_at(table)]
            if not behind:
                return going, stopped
            if time.monotonic() > deadline:
                raise NotCaughtUp(
                    f"the newest definition of {', '.join(sorted(behind))} was not followed by the replica in time: "
                    "see that the sink runs"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _stands_at(self, table: CapturedTable) -> bool:
        found = await standing_at(self._replica, table)
        return found is not None and found.fingerprint == table.fingerprint

    async def _stopped(self) -> set[str]:
        return set(await stopped_tables(self._replica))

    async def _wait_for_replica(self) -> Position:
        return await catch_up(self._journal, self._replica, seconds=self._wait_seconds)

    async def _compare(self, table: CapturedTable) -> tuple[int, list[Mismatch]]:
        lake, replica = await asyncio.gather(self._lake_digest(table), self._replica_digest(table))
        rows = sum(count for count, _ in lake.values())
        suspects = {
            bucket: max(side.get(bucket, (0, 0))[0] for side in (lake, replica))
            for bucket in lake.keys() | replica.keys()
            if lake.get(bucket) != replica.get(bucket)
        }
        return rows, await self._confirm(table, suspects)

    async def _confirm(
        self, table: CapturedTable, suspects: dict[int, int], only: frozenset[str] | None = None
    ) -> list[Mismatch]:
        """Look at the rows of some buckets until what differs is sure.

        Args:
            table: its definition.
            suspects: bucket to about how many rows it has.
            only: look at rows with these keys alone.
        """
        differing: dict[str, tuple[int | None, int | None]] = {}
        unstable: set[str] = set()
        for number in range(ROUNDS):
            if not suspects:
                return []
            await self._wait_for_replica()
            now: dict[str, tuple[int | None, int | None]] = {}
            for buckets in _together(suspects):
                found = await self._differences(table, buckets)
                now |= {key: pair for key, pair in found.items() if only is None or key in only}
            still = set(map(_bucket, now))
            suspects = {bucket: rows for bucket, rows in suspects.items() if bucket in still}
            if number:
                # Seen before with another row in the lake: it is being written right now.
                unstable |= {key for key in now if key in differing and differing[key][0] != now[key][0]}
                differing = {key: pair for key, pair in now.items() if key in differing}
            else:
                differing = now
        return [
            Mismatch(table.full_name, key, "unstable" if key in unstable else _kind(*pair))
            for key, pair in sorted(differing.items())
        ]

    async def _orphans(self, tables: dict[str, CapturedTable]) -> list[Mismatch]:
        """Find rows of the replica that lack their parent at every look, while everything captured is applied."""
        statements = dict(_orphan_statements(tables))
        found: dict[tuple[str, str], set[str]] = {}
        for number in range(ROUNDS):
            for name, statement in statements.items():
                keys = {row["key"] for row in await self._replica.fetch(statement)}
                found[name] = keys & found[name] if number else keys
            statements = {name: statement for name, statement in statements.items() if found[name]}
            if not statements:
                return []
            await self._wait_for_replica()
        rows = {(table, key) for (table, _), keys in found.items() for key in keys}
        return [Mismatch(table, key, "orphan") for table, key in sorted(rows)]

    async def _differences(
        self, table: CapturedTable, buckets: list[int]
    ) -> dict[str, tuple[int | None, int | None]]:
        async with self._lake.engine.connect() as connection:
            result = await connection.exec_driver_sql(self._lake.dialect.row_hashes(table, BUCKETS, buckets))
            rows: Sequence[Any] = result.all()
        lake = {row[0]: int(row[1]) for row in rows}
        records = await self._replica.fetch(_REPLICA.row_hashes(table.replica, BUCKETS, buckets))
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
        rows: Sequence[asyncpg.Record] = await self._replica.fetch(
            _REPLICA.row_hashes(table.replica, BUCKETS)
        )
        return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}

    async def _store(self, result: Verification) -> None:
        incarnation = await self._journal.incarnation()
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
            await self._replica.execute(
                "DELETE FROM replication.mismatch WHERE verification_id <= $1", number - KEPT_VERIFICATIONS
            )
            if result.equal:
                # It only rises, unless the journal is another one: two verifications may end in any order.
                await self._replica.execute(
                    """
                    INSERT INTO replication.verified_through AS v
                        (incarnation, position_major, position_minor, verified_at) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (only_row) DO UPDATE SET incarnation = EXCLUDED.incarnation,
                        position_major = EXCLUDED.position_major, position_minor = EXCLUDED.position_minor,
                        verified_at = greatest(v.verified_at, EXCLUDED.verified_at)
                    WHERE v.incarnation <> EXCLUDED.incarnation OR (v.position_major, v.position_minor)
                        <= (EXCLUDED.position_major, EXCLUDED.position_minor)
                    """,
                    incarnation,
                    result.position.major,
                    result.position.minor,
                    result.finished_at,
                )


def _orphan_statements(tables: dict[str, CapturedTable]) -> Iterable[tuple[tuple[str, str], str]]:
    """A query for each foreign key of the lake: keys of rows in the replica whose parent is not there."""
    for table in CAPTURED:
        child = tables.get(table.fullname)
        for constraint in table.foreign_key_constraints:
            parent = constraint.referred_table.fullname
            if child is None or parent not in tables:
                continue
            pairs = [(key.parent.name, key.column.name) for key in constraint.elements]
            given = " AND ".join(f"r.{own} IS NOT NULL" for own, _ in pairs)
            same = " AND ".join(f"p.{other} = r.{own}" for own, other in pairs)
            key = _REPLICA.key(child.replica, "r")
            yield (
                (table.fullname, ",".join(own for own, _ in pairs)),
                f"SELECT {key} AS key FROM {table.fullname} AS r WHERE {given} "
                f"AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {same}) LIMIT {MOST_ORPHANS}",
            )


def _together(suspects: dict[int, int]) -> Iterable[list[int]]:
    """Split buckets into as few lists as may be read at once: each is a scan of the table."""
    chosen: list[int] = []
    rows = 0
    for bucket, count in sorted(suspects.items()):
        if chosen and rows + count > MOST_ROWS_AT_ONCE:
            yield chosen
            chosen, rows = [], 0
        chosen.append(bucket)
        rows += count
    if chosen:
        yield chosen


def _bucket(key: str) -> int:
    """The bucket that `row_hashes` puts a key into."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") & (BUCKETS - 1)


def _kind(lake: int | None, replica: int | None) -> str:
    if replica is None:
        return "missing"
    return "extra" if lake is None else "different"

"""Writers that do what sessions may do: commit, roll back, nest, prepare, wait, and lose their server."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg

from tests.conftest import Database

INSERT = """
    INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision)
    VALUES ($1, 'person', $2, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)
    ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name, revision = credit.party.revision + 1
"""
LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "another operation is in progress": what it was doing when the server went
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
"""How the end of a server looks to a client that is connected or tries to be."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A transaction before its end: its name, which a row carries, and how it is to end."""

    name: str
    commit: bool
    prepared: bool


class Writer:
    """One session after another; `committed` and `rolled_back` are the names of its transactions."""

    def __init__(self, lake: Database, chance: random.Random, keys: list[Any], number: int) -> None:
        """`keys` are shared among writers, so that they meet."""
        self._lake, self._chance, self._keys, self._number = lake, chance, keys, number
        self._changes = 0
        self._transactions = 0
        self._open: Intent | None = None
        self.committed: set[str] = set()
        self.rolled_back: set[str] = set()
        self.unknown = 0
        """How many commits and rollbacks were cut off, so that only the server could tell."""

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set, by a new session whenever the server was lost."""
        while True:
            try:
                async with self._lake.connect() as connection:
                    await self._resolve(connection)
                    while not stop.is_set():
                        await self._transact(connection)
                    return
            except LOST:
                await asyncio.sleep(0.1)

    async def _resolve(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Find out how the transaction ended that the lost session had open."""
        intent = self._open
        if intent is None:
            return
        if await connection.fetchval("SELECT 1 FROM pg_prepared_xacts WHERE gid = $1", intent.name):
            await connection.execute(f"{'COMMIT' if intent.commit else 'ROLLBACK'} PREPARED '{intent.name}'")
        found = await connection.fetchval("SELECT 1 FROM credit.party WHERE full_name = $1", intent.name)
        self.unknown += 1
        self._ended(intent, committed=bool(found))

    def _ended(self, intent: Intent, *, committed: bool) -> None:
        (self.committed if committed else self.rolled_back).add(intent.name)
        self._open = None

    async def _transact(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._transactions += 1
        name = f"t{self._number}_{self._transactions}"
        intent = Intent(name, commit=self._chance.random() < 0.75, prepared=self._chance.random() < 0.1)
        if self._chance.random() < 0.1:
            await self._meddle(connection)
        self._open = intent
        await connection.execute("BEGIN")
        try:
            await self._change_some(connection)
            await connection.execute(INSERT, uuid4(), name)
        except asyncpg.PostgresError:
            if connection.is_closed():
                raise
            await connection.execute("ROLLBACK")
            self._ended(intent, committed=False)
            return
        end = "COMMIT" if intent.commit else "ROLLBACK"
        if intent.prepared:
            await connection.execute(f"PREPARE TRANSACTION '{name}'")
            await asyncio.sleep(self._chance.choice([0, 0.05]))
            end += f" PREPARED '{name}'"
        await connection.execute(end)
        self._ended(intent, committed=intent.commit)

    async def _change_some(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        if self._chance.random() < 0.2:
            await self._meddle(connection)
        for _ in range(self._chance.randrange(1, 4)):
            if self._chance.random() < 0.3:
                await connection.execute("SAVEPOINT s")
                await self._change(connection)
                undo = self._chance.random() < 0.5
                await connection.execute("ROLLBACK TO SAVEPOINT s" if undo else "RELEASE SAVEPOINT s")
            else:
                await self._change(connection)
            await asyncio.sleep(self._chance.choice([0, 0, 0.001, 0.02]))

    async def _change(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._changes += 1
        key = self._chance.choice(self._keys)
        kind = self._chance.random()
        if kind < 0.6:
            await connection.execute(INSERT, key, f"{self._number}/{self._changes}")
        elif kind < 0.75:
            await connection.execute("DELETE FROM credit.party WHERE id = $1", key)
        elif kind < 0.9:
            # A moved key: one row's key becomes another, unless that one is taken.
            await connection.execute(
                "UPDATE credit.party SET id = gen_random_uuid(), revision = revision + 1 WHERE id = $1", key
            )
        else:
            await connection.execute(
                "INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision) "
                "SELECT gen_random_uuid(), 'person', 'bulk', gen_random_uuid(), now() AT TIME ZONE 'UTC', 1 "
                "FROM generate_series(1, 20)"
            )

    async def _meddle(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Try to make the reader believe that no lock is needed."""
        setting = self._chance.choice(["", "9223372036854775807", "1"])
        local = self._chance.random() < 0.5
        await connection.execute("SELECT set_config('journal.bound', $1, $2)", setting, local)

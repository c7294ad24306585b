"""Writers that change the lake at random until they are told to stop, whatever happens to its server."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg

from tests.conftest import Database

UPSERT = """
    INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision)
    VALUES ($1, 'person', $2, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)
    ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name, revision = credit.party.revision + 1
"""
UPSERT_APPLICATION = """
    INSERT INTO credit.application (id, state, revision, draft, created_by, created_at)
    VALUES ($1, 'DRAFT', 1, $2, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC')
    ON CONFLICT (id) DO UPDATE SET draft = EXCLUDED.draft, revision = credit.application.revision + 1
"""
BULK = """
    INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision)
    SELECT gen_random_uuid(), 'person', $1, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1
    FROM generate_series(1, $2)
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


class RolledBack(Exception):
    """The writer does not want its transaction."""


class Writer:
    """One connection's worth of changes: inserts, updates, deletes, moved keys, savepoints, rollbacks, bulk."""

    def __init__(self, lake: Database, chance: random.Random, keys: list[UUID], name: str) -> None:
        """`keys` are shared among writers, so that they meet."""
        self._lake, self._chance, self._keys, self._name = lake, chance, keys, name
        self._number = 0
        self.done: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Write until `stop` is set, `pause` seconds apart in the mean; connect again whenever it must."""
        while not stop.is_set():
            try:
                async with self._lake.connect("creditmesh") as connection:
                    while not stop.is_set():
                        await self._transact(connection)
                        await asyncio.sleep(self._chance.expovariate(1 / pause))
            except LOST:
                # Whether the last commit arrived is not known, and need not be: the journal says.
                self.done["connections lost"] += 1
                await asyncio.sleep(0.2)

    async def _transact(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        try:
            async with connection.transaction():
                for _ in range(self._chance.randrange(1, 5)):
                    await self._change_maybe_in_savepoint(connection)
                if self._chance.random() < 0.05:
                    await asyncio.sleep(self._chance.random())
                self._maybe_roll_back(0.15)
            self.done["committed"] += 1
        except RolledBack:
            self.done["rolled back"] += 1
        except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
            self.done["refused by the server"] += 1

    async def _change_maybe_in_savepoint(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        if self._chance.random() < 0.7:
            await self._change(connection)
            return
        with contextlib.suppress(RolledBack):
            async with connection.transaction():
                await self._change(connection)
                self._maybe_roll_back(0.5)

    def _maybe_roll_back(self, likely: float) -> None:
        if self._chance.random() < likely:
            raise RolledBack

    async def _change(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._number += 1
        key = self._chance.choice(self._keys)
        name = f"{self._name}/{self._number}"
        match self._chance.choices(
            ("upsert", "application", "update", "delete", "move", "bulk"), (30, 20, 20, 12, 12, 2)
        )[0]:
            case "upsert":
                await connection.execute(UPSERT, key, name)
            case "application":
                await connection.execute(UPSERT_APPLICATION, key, name)
            case "update":
                await connection.execute(
                    "UPDATE credit.party SET full_name = $2, revision = revision + 1 WHERE id = $1", key, name
                )
            case "delete":
                await connection.execute("DELETE FROM credit.party WHERE id = $1", key)
                await connection.execute("DELETE FROM credit.application WHERE id = $1", key)
            case "move":
                moved = self._chance.choice(self._keys)
                await connection.execute("UPDATE credit.party SET id = $2 WHERE id = $1", key, moved)
            case _:
                await connection.execute(BULK, name, self._chance.randrange(20, 400))


@asynccontextmanager
async def writing(lake: Database, *, writers: int, seed: int, pause: float) -> AsyncIterator[Counter[str]]:
    """Let writers write for the length of a block; gives what they did, filled in at its end."""
    chance = random.Random(seed)
    keys = [uuid4() for _ in range(60)]
    stop = asyncio.Event()
    crew = [Writer(lake, random.Random(chance.random()), keys, f"w{n}") for n in range(writers)]
    done: Counter[str] = Counter()
    async with asyncio.TaskGroup() as tasks:
        for writer in crew:
            tasks.create_task(writer.run(stop, pause))
        try:
            yield done
        finally:
            stop.set()
    for writer in crew:
        done.update(writer.done)

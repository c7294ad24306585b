"""What is written into the lake, and where: the same for every run of a benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg

from services.platform.components.postgres import binaries, create_database, owner_connection
from services.platform.platform import Platform
from tests.conftest import Database

CHANGES_A_TRANSACTION = 100
SAMPLED = 0.1
FILLER = "x" * 150

INSERT = """
    INSERT INTO credit.party (id, kind, full_name, national_id, email, phone, created_by, created_at, revision)
    SELECT id, 'person', 'Applicant ' || id || $2, left(id::text, 20), id || '@example.com', '+49 30 555000001',
        '00000000-0000-7000-8000-000000000001', clock_timestamp() AT TIME ZONE 'UTC', 1 FROM unnest($1::uuid[]) AS id
"""
UPDATE = "UPDATE credit.party SET revision = revision + 1 WHERE id = ANY($1::uuid[])"
DELETE = "DELETE FROM credit.party WHERE id = ANY($1::uuid[])"


@contextlib.asynccontextmanager
async def databases(platform: Platform) -> AsyncIterator[tuple[Database, Database]]:
    """A fresh, migrated pair of lake and application database."""
    port, password = platform.settings.postgres_port, platform.home.database_password("creditmesh")
    pair = []
    async with owner_connection(port, password) as owner:
        for kind in ("lake", "application"):
            name = f"bench_{kind}_{random.randrange(10**9)}"
            await create_database(owner, name, kind, f"template_{kind}")
            pair.append(Database(platform, name))
    try:
        yield pair[0], pair[1]
    finally:
        async with owner_connection(port, password) as owner:
            for database in pair:
                await owner.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')


async def make_templates(platform: Platform) -> None:
    """Keep the freshly migrated databases as templates for every run."""
    async with owner_connection(
        platform.settings.postgres_port, platform.home.database_password("creditmesh")
    ) as owner:
        for kind in ("lake", "application"):
            await owner.execute(f"ALTER DATABASE {kind} RENAME TO template_{kind}")


async def write_changes(lake: Database, changes: int) -> None:
    """70 % inserts, 25 % updates, 5 % deletes, in transactions of 100; one transaction in ten is sampled."""
    chance = random.Random(1)
    live: list[UUID] = []
    async with lake.connect() as connection:
        for _ in range(changes // CHANGES_A_TRANSACTION):
            new = [UUID(int=chance.getrandbits(128)) for _ in range(70)]
            live += new
            chosen = chance.sample(range(len(live)), 30)
            updated = [live[index] for index in chosen[:25]]
            deleted = [live[index] for index in chosen[25:]]
            async with connection.transaction():
                await set_context(connection, chance)
                await connection.execute(INSERT, new, FILLER)
                await connection.execute(UPDATE, updated)
                await connection.execute(DELETE, deleted)
            for index in sorted(chosen[25:], reverse=True):
                live[index] = live[-1]
                live.pop()


async def set_context(connection: asyncpg.Connection, chance: random.Random) -> None:
    """What the services' unit of work does at the beginning of a transaction."""
    flags = "01" if chance.random() < SAMPLED else "00"
    context = f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-{flags}"
    await connection.execute(
        "SELECT set_config('journal.traceparent', $1, true), set_config('journal.actor', 'bench', true)",
        context,
    )


STEADY = f"""
\\set sampled random(1, {round(1 / SAMPLED)})
\\startpipeline
BEGIN;
SELECT set_config('journal.traceparent', '00-' || replace(gen_random_uuid()::text, '-', '') || '-'
    || left(replace(gen_random_uuid()::text, '-', ''), 16)
    || CASE :sampled::int WHEN 1 THEN '-01' ELSE '-00' END, true),
    set_config('journal.actor', 'bench', true);
{INSERT.replace("$1::uuid[]", "ARRAY[gen_random_uuid()]").replace("$2", f"'{FILLER}'")};
COMMIT;
\\endpipeline
"""


async def write_steadily(lake: Database, seconds: int, rate: int) -> None:
    """One insert a transaction, on average `rate` a second at random moments, by four connections of pgbench.

    A client written in Python would take more of the two cores for itself than what is measured, and one that waits for
    each of a transaction's four statements takes twice as much as one that sends them together.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(STEADY)
        script.flush()
        process = await asyncio.create_subprocess_exec(
            str(binaries() / "pgbench"),
            *("--no-vacuum", "--client=4", f"--rate={rate}", f"--time={seconds}", "--protocol=prepared"),
            f"--file={script.name}",
            lake.url().replace("+asyncpg", ""),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"pgbench ended with {process.returncode}: {said.decode()[-1000:]}")

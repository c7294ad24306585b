"""Checks the journal's main property: exactly the committed changes are delivered, in rising order."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Awaitable, Callable
from uuid import uuid4

from sqlalchemy.exc import DBAPIError

from services.lake.journal.model import Position
from services.lake.journal.reader import Change, JournalReader
from tests.conftest import Database
from tests.integration.lake.journal_writer import LOST, Writer

WRITERS = 8
KEYS = 40

Read = Callable[[Position, int], Awaitable[list[Change]]]


def new_seed() -> int:
    """A seed, printed and given by PROPERTY_SEED to repeat it."""
    seed = int(os.environ.get("PROPERTY_SEED", random.SystemRandom().randrange(2**32)))
    print(f"PROPERTY_SEED={seed}")
    return seed


async def _read_until(read: Read, start: Position, done: asyncio.Event) -> list[Change]:
    """Read as a relay does, from its last row on, until nothing more can come; the server may go and come."""
    delivered: list[Change] = []
    position = start
    while True:
        finished = done.is_set()
        try:
            changes = await read(position, 50)
        except (*LOST, DBAPIError):
            await asyncio.sleep(0.1)
            continue
        delivered += changes
        if changes:
            position = changes[-1].position
        elif finished:
            return delivered
        else:
            await asyncio.sleep(0.001)


async def check(
    lake: Database, reader: JournalReader, seed: int, meanwhile: Callable[[random.Random], Awaitable[None]]
) -> int:
    """Let writers write and two readers read until `meanwhile` ends, then compare.

    Returns how many commits were cut off, so that their writers had to look how they ended.
    """
    chance = random.Random(seed)
    keys = [uuid4() for _ in range(KEYS)]
    start = await reader.last_position()
    written, stop = asyncio.Event(), asyncio.Event()
    readers = [asyncio.create_task(_read_until(reader.read, start, written)) for _ in range(2)]
    writers = [Writer(lake, random.Random(chance.random()), keys, number) for number in range(WRITERS)]
    async with asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(writer.run(stop))
        await meanwhile(chance)
        stop.set()
    written.set()
    delivered = [await task for task in readers]

    async with lake.connect() as connection:
        rows = await connection.fetch(
            "SELECT position FROM journal.change WHERE position > $1 ORDER BY position", start.major
        )
        committed = [row["position"] for row in rows]
        rows = await connection.fetch("SELECT id, full_name FROM credit.party")
        table = {str(row["id"]): row["full_name"] for row in rows}
    assert len(committed) > 500, "the writers hardly wrote: the test shows nothing"
    for changes in delivered:
        assert [change.position.major for change in changes] == committed

    # Applying the images in the order delivered gives the table: the order of each key is the order of commits.
    replayed: dict[str, str] = {}
    names: set[str] = set()
    for change in delivered[0]:
        [key] = json.loads(change.key)
        if change.image is None:
            replayed.pop(key, None)
        else:
            replayed[key] = json.loads(change.image)["full_name"]
            names.add(replayed[key])
    assert replayed == table
    # And what the journal holds is what its writers know to have committed.
    for writer in writers:
        assert writer.committed <= names
        assert not writer.rolled_back & names
    return sum(writer.unknown for writer in writers)

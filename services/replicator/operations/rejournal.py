"""Requests that rows are written into the journal again, follows the requests, and checks the result."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
import orjson

from services.lake.database import Lake
from services.lake.journal.model import CapturedTable, ColumnType
from services.lake.journal.reader import JournalReader
from services.lake.journal.requests import Request, Requests
from services.replicator.errors import ImageNotApplicable
from services.replicator.replica.types import RowCodec
from services.replicator.verification.verifier import Mismatch, Verifier

POLL_SECONDS = 0.2


class UnknownTable(Exception):
    """No such table is captured."""


class KeyNotRead(Exception):
    """A given key does not fit its table."""


class NobodyWorks(Exception):
    """Nothing came of a request in a long while: no relay works."""


async def captured_tables(lake: Lake) -> dict[str, CapturedTable]:
    """The definition in force of each captured table, by `schema.name`."""
    return {table.full_name: table for table in (await JournalReader(lake).definitions()).values()}


def known(tables: Mapping[str, CapturedTable], name: str) -> CapturedTable:
    """Give the table `name`.

    Raises:
        UnknownTable: with the names that there are.
    """
    if name not in tables:
        raise UnknownTable(f"{name} is no captured table; there are {', '.join(sorted(tables))}")
    return tables[name]


def canonical_key(table: CapturedTable, text: str) -> str:
    """Read a key as a person writes it: a JSON array of texts, or the text alone where the key is one column.

    Raises:
        KeyNotRead: naming the table's key columns.
    """
    try:
        parts = orjson.loads(text) if text.startswith("[") else [text]
        key = orjson.dumps(
            [
                part.lower() if column.type is ColumnType.UUID else part
                for part, column in zip(parts, table.key_columns, strict=True)
            ]
        )
        RowCodec(table).key(key)
    except (orjson.JSONDecodeError, ImageNotApplicable, AttributeError, TypeError, ValueError):
        columns = ", ".join(table.key)
        raise KeyNotRead(
            f"{text!r} is no key of {table.full_name} ({columns}): give a JSON array of texts, one a column"
        ) from None
    return key.decode()


async def follow(
    lake: Lake, requests: Sequence[UUID], told: Callable[[Request], None], *, patience_seconds: float
) -> list[Request]:
    """Wait until `requests` (their ids) are done, telling each new state of one.

    Raises:
        NobodyWorks: nothing moved for `patience_seconds`.
    """
    table = Requests(lake)
    states: dict[UUID, Request] = {}
    moved_at = time.monotonic()
    while True:
        for number in requests:
            if number in states and states[number].done:
                continue
            state = await table.read(number)
            if states.get(number) != state:
                states[number] = state
                moved_at = time.monotonic()
                told(state)
        if all(number in states and states[number].done for number in requests):
            return list(states.values())
        if time.monotonic() - moved_at > patience_seconds:
            raise NobodyWorks(
                f"nothing was written for {patience_seconds:.0f} s: see that a relay works and that no open "
                "transaction holds locks. The requests stay, and are worked off when it does"
            )
        await asyncio.sleep(POLL_SECONDS)


async def repair(
    lake: Lake,
    replica: asyncpg.Connection,
    keys: Mapping[str, Sequence[str]],
    *,
    by: str,
    wait_seconds: float,
) -> list[Mismatch]:
    """Have rows written again as the lake holds them, wait until that is applied, and compare them.

    Args:
        lake: with a login that may ask for it.
        replica: with a login that may read it.
        keys: canonical keys by table.
        by: who asks, kept with the request.
        wait_seconds: for the relay to begin, and for the replica to catch up.

    Returns:
        What still differs.

    Raises:
        NobodyWorks, NotCaughtUp: in time.
    """
    requests = Requests(lake)
    numbers = [
        number for table, some in keys.items() if some for number in await requests.add(table, some, by=by)
    ]
    done = await follow(lake, numbers, lambda _: None, patience_seconds=wait_seconds)
    failed = {request.table for request in done if request.error}
    verifier = Verifier(lake, replica, wait_seconds=wait_seconds)
    left: list[Mismatch] = []
    for table, some in keys.items():
        if table in failed:
            left += [Mismatch(table, key, "not repaired") for key in some]
        elif some:
            left += await verifier.check(table, some)
    return left

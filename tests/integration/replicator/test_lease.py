"""One relay at a time: the holder of the lease may save, a previous holder may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from services.lake.journal.model import Position
from services.replicator.errors import LeaseLost
from services.replicator.relay.lease import Cursor, Lease, Owner
from services.replicator.replica.connection import connect
from tests.conftest import Database

CURSOR = Cursor(
    UUID("0197a2a0-0000-7000-8000-00000000000a"),
    Position(2**63 - 1, 7),
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    {"lake.credit.party/0": str(Position(2**63 - 1, 7)), "lake.credit.party/1": str(Position(3))},
)


@pytest.fixture
async def relay(fresh_application: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection with the relay's login."""
    connection = await connect(SecretStr(fresh_application.url("relay")), name="test-lease")
    yield connection
    await connection.close()


def lease(connection: asyncpg.Connection[asyncpg.Record], owner: str, seconds: float = 60) -> Lease:
    return Lease(connection, owner=Owner(owner), seconds=seconds)


async def test_the_first_relay_begins_at_the_start(relay: asyncpg.Connection[asyncpg.Record]) -> None:
    first = lease(relay, "a")
    assert await first.acquire() == Cursor(None, Position(0), None, {})
    assert first.epoch == 1


async def test_what_was_saved_is_where_the_next_goes_on(relay: asyncpg.Connection[asyncpg.Record]) -> None:
    first = lease(relay, "a")
    await first.acquire()
    await first.save(CURSOR)
    await first.release()
    second = lease(relay, "b")
    assert await second.acquire() == CURSOR
    assert second.epoch == first.epoch + 1


async def test_while_one_holds_it_another_stands_by(relay: asyncpg.Connection[asyncpg.Record]) -> None:
    first, second = lease(relay, "a"), lease(relay, "b")
    await first.acquire()
    assert await second.acquire() is None
    await first.renew(0.0)
    assert await second.acquire() is None


async def test_a_restarted_relay_resumes_at_once_with_a_new_epoch(
    relay: asyncpg.Connection[asyncpg.Record],
) -> None:
    before, after = lease(relay, "a"), lease(relay, "a")
    await before.acquire()
    assert await after.acquire() is not None
    assert after.epoch == before.epoch + 1
    with pytest.raises(LeaseLost, match="the lease of a with epoch 1"):
        await before.save(CURSOR)


async def test_a_relay_whose_name_another_has_taken_too_waits_like_any_other(
    relay: asyncpg.Connection[asyncpg.Record],
) -> None:
    one, other = Owner("a"), Owner("a")
    assert await Lease(relay, owner=one, seconds=60).acquire() is not None
    assert await Lease(relay, owner=other, seconds=60).acquire() is not None
    assert await Lease(relay, owner=one, seconds=60).acquire() is None
    again = Lease(relay, owner=other, seconds=60)
    assert await again.acquire() is not None
    await again.release()
    assert await Lease(relay, owner=one, seconds=60).acquire() is not None


async def test_a_relay_whose_lease_ran_out_changes_nothing_any_more(
    relay: asyncpg.Connection[asyncpg.Record],
) -> None:
    zombie, heir = lease(relay, "a", seconds=0), lease(relay, "b")
    await zombie.acquire()
    assert await heir.acquire() is not None
    with pytest.raises(LeaseLost):
        await zombie.save(CURSOR)
    with pytest.raises(LeaseLost):
        await zombie.renew(0.0)
    await zombie.release()
    assert await lease(relay, "c").acquire() is None, "the heir still holds it"
    await heir.save(CURSOR)

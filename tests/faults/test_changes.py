"""Acceptance cases 12 to 16: what changes do to one another, within a batch and across restarts."""

from __future__ import annotations

import signal

import pytest

from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline, party_insert, until

PARTY = "credit.party"
DROPPED = "credit_replication_dropped_records_total"
ROW = "0197a2a0-0000-7000-8000-000000000001"
MOVED = "0197a2a0-0000-7000-8000-000000000002"
AGAIN = "0197a2a0-0000-7000-8000-000000000003"


def party(row: str, name: str, email: str | None = None) -> str:
    """SQL that inserts one party."""
    address = "NULL" if email is None else f"'{email}'"
    return (
        "INSERT INTO credit.party (id, kind, full_name, email, created_by, created_at, revision) VALUES "
        f"('{row}', 'person', '{name}', {address}, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)"
    )


async def parties(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Id and name of every party in the replica."""
    rows = await pipeline.replica("SELECT id, full_name FROM credit.party ORDER BY id")
    return [(str(row["id"]), row["full_name"]) for row in rows]


async def test_case_12_of_many_changes_of_one_key_in_one_batch_the_last_counts(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.start("relay")
    await pipeline.lake(party_insert(1))
    await pipeline.lake("UPDATE credit.party SET full_name = 'updated'")
    await pipeline.lake(f"UPDATE credit.party SET id = '{ROW}'")
    await pipeline.lake("DELETE FROM credit.party")
    await pipeline.lake(party(ROW, "again"))
    await pipeline.lake("UPDATE credit.party SET revision = 7")
    await pipeline.relayed()
    await pipeline.start("sink")
    await pipeline.equal()
    [found] = await pipeline.replica("SELECT id, full_name, revision FROM credit.party")
    assert (str(found["id"]), found["full_name"], found["revision"]) == (ROW, "again", 7)
    assert await validator.writes(PARTY) == 1


@pytest.mark.parametrize("killed", ["relay", "sink"])
async def test_case_13_a_key_moved_twice_with_a_restart_between_leaves_one_row(
    pipeline: Pipeline, killed: str
) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party(ROW, "moves"))
    await pipeline.equal()
    await pipeline.lake(f"UPDATE credit.party SET id = '{MOVED}', full_name = 'moved once'")
    await pipeline.signal(killed, signal.SIGKILL)
    await pipeline.lake(f"UPDATE credit.party SET id = '{AGAIN}', full_name = 'moved twice'")
    await pipeline.start(killed)
    await pipeline.equal()
    assert await parties(pipeline) == [(AGAIN, "moved twice")]
    await pipeline.lake(f"UPDATE credit.party SET id = '{ROW}', full_name = 'moved back'")
    await pipeline.equal()
    assert await parties(pipeline) == [(ROW, "moved back")]


async def test_case_14_a_unique_value_that_passes_to_another_row_and_two_that_are_swapped_are_applied(
    pipeline: Pipeline,
) -> None:
    await pipeline.lake("ALTER TABLE credit.party ADD CONSTRAINT one_email UNIQUE (email) DEFERRABLE")
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party(ROW, "first", "a@example.com"))
    await pipeline.equal()
    await pipeline.lake(
        f"DELETE FROM credit.party WHERE id = '{ROW}'; " + party(MOVED, "heir", "a@example.com")
    )
    await pipeline.lake(party(AGAIN, "other", "b@example.com"))
    await pipeline.equal()
    swapped = await pipeline.lake(
        "UPDATE credit.party AS p SET email = q.email FROM credit.party AS q WHERE q.id <> p.id"
    )
    assert swapped == "UPDATE 2"
    await pipeline.equal()
    rows = await pipeline.replica("SELECT full_name, email FROM credit.party ORDER BY full_name")
    assert [tuple(row) for row in rows] == [("heir", "b@example.com"), ("other", "a@example.com")]


async def test_case_15_stale_changes_that_a_restarted_relay_repeats_are_ignored(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.lake(party(ROW, "to be deleted"))
    await pipeline.lake(party(MOVED, "to be inserted again"))
    await pipeline.lake(f"UPDATE credit.party SET full_name = 'a stale update' WHERE id = '{ROW}'")
    await pipeline.lake(f"DELETE FROM credit.party WHERE id = '{ROW}'")
    await pipeline.lake(f"DELETE FROM credit.party WHERE id = '{MOVED}'")
    await pipeline.lake(party(MOVED, "newer"))
    await pipeline.start("sink")
    await pipeline.start("relay", FAILPOINTS="relay.after_acks=kill")
    assert await pipeline.died("relay") == -signal.SIGKILL

    async def applied() -> bool:
        return await parties(pipeline) == [(MOVED, "newer")]

    await until(applied, "the sink did not apply what was sent", pipeline, "sink")
    before = await validator.writes(PARTY)
    await pipeline.start("relay")

    async def repeated() -> bool:
        return await pipeline.metric("sink", DROPPED, reason="repeat") >= 6

    await until(repeated, "nothing came again", pipeline, "relay")
    await pipeline.equal()
    assert await parties(pipeline) == [(MOVED, "newer")]
    assert await validator.writes(PARTY) == before


async def test_case_15_stale_changes_of_a_relay_that_wakes_up_late_are_ignored(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.lake(party(ROW, "to be deleted"))
    await pipeline.lake(party(MOVED, "to be inserted again"))
    await pipeline.lake(f"UPDATE credit.party SET full_name = 'a stale update' WHERE id = '{ROW}'")
    await pipeline.lake(f"DELETE FROM credit.party WHERE id = '{MOVED}'")
    await pipeline.start("zombie", "relay", FAILPOINTS="relay.before_acks=stop")
    await pipeline.stands_still("zombie")
    await pipeline.lake(f"DELETE FROM credit.party WHERE id = '{ROW}'")
    await pipeline.lake(party(MOVED, "newer"))
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    before = await validator.writes(PARTY)
    await pipeline.signal("zombie", signal.SIGCONT)

    async def dropped() -> bool:
        return await pipeline.metric("sink", DROPPED, reason="stale_epoch") >= 4

    await until(dropped, "the late sends did not come", pipeline, "zombie")
    await pipeline.equal()
    assert await parties(pipeline) == [(MOVED, "newer")]
    assert await validator.writes(PARTY) == before


async def test_case_16_one_image_that_postgresql_cannot_hold_is_set_aside_alone_and_heals(
    pipeline: Pipeline,
) -> None:
    await pipeline.lake(party_insert(10_000))
    # As SQL Server's trigger would have written it: its nvarchar may hold U+0000.
    planted = await pipeline.lake(
        r"""UPDATE journal.change SET image = replace(image, '"x 777"', '"x\u0000 777"') WHERE image LIKE '%"x 777"%'"""
    )
    assert planted == "UPDATE 1"
    await pipeline.start("relay")
    await pipeline.start("sink")
    result = await pipeline.verify()
    [finding] = result.findings
    assert (finding.table, finding.kind) == (PARTY, "missing")

    [entry] = await pipeline.replica("SELECT * FROM replication.sink_quarantine")
    assert entry["key"].decode() == finding.key
    assert f"{pipeline.prefix}credit.party/{entry['partition']}@{entry['kafka_offset']}" in entry["reason"]
    assert "credit.party.full_name: U+0000" in entry["reason"]
    assert (await pipeline.get("relay", "/status")).json()["equal"] is False
    assert await pipeline.metric("sink", "credit_replication_quarantined_records") == 1

    await pipeline.lake("UPDATE credit.party SET full_name = 'x 777, corrected' WHERE full_name = 'x 777'")
    await pipeline.equal()
    [healed] = await pipeline.replica("SELECT resolution FROM replication.sink_quarantine")
    assert healed["resolution"] == "healed"
    assert (await pipeline.get("relay", "/status")).json()["equal"] is True

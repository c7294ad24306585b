"""What should never happen, and does: records that no relay wrote, images that fit no row, journals that went back.

A bad record ends in the quarantine with its place and the reason, and nothing else waits or is lost. A journal that
is not the one the cursor came from stops the relay by name.
"""

from __future__ import annotations

import signal

import pytest

from services.chassis.messaging import open_producer
from services.replicator.records import Headers
from tests.integration.replicator.pipeline import Pipeline, party_insert, until
from tests.integration.undecodable import send_undecodable

PARTY = "credit.party"


async def send(pipeline: Pipeline, key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Put one record on partition 0 of the parties' topic; its offset."""
    producer = await open_producer(pipeline.kafka, "test-forger")
    try:
        sent = await producer.send_and_wait(
            pipeline.prefix + PARTY, value, key=key, partition=0, headers=headers
        )
    finally:
        await producer.stop()
    return int(sent.offset)


async def test_records_that_no_relay_wrote_are_set_aside_and_nothing_else_is_lost(
    pipeline: Pipeline,
) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(200))
    await pipeline.equal()
    [journal] = await pipeline.replica("SELECT incarnation FROM replication.relay")
    good = f"u 1.0 0.0 1 {journal['incarnation'].hex} 0123456789abcdef".encode()
    spoiled: list[tuple[Headers, str]] = [
        ([], "header 'change' is missing"),
        ([("change", b"u")], "a header cannot be read"),
        ([("change", good.replace(b" 1.0 ", b" forty-two "))], "b'forty-two' is not a position such as 42.0"),
        ([("change", good.replace(b" 1.0 ", b" 99999999999999999999.0 "))], "is not a number from 0 to"),
        ([("change", good.replace(b" 1.0 ", b" \x00.0 "))], "is not a number from 0 to"),
        ([("change", good.replace(b"u ", b"\xff "))], "a header cannot be read"),
        ([("change", good.replace(b" 1 ", b" first "))], "b'first' is not a number from 0 to"),
        ([("change", good.replace(b" 1 ", b" 1 \x00"))], "a header cannot be read"),
    ]
    expected = {}
    for headers, reason in spoiled:
        offset = await send(pipeline, b'["k"]', b"{}", headers)
        expected[offset] = (f"{pipeline.prefix}{PARTY}/0@{offset}: ", reason)
    await pipeline.lake(party_insert(200, "after"))
    assert (await pipeline.verify()).findings == ()

    entries = await pipeline.replica("SELECT * FROM replication.sink_quarantine ORDER BY kafka_offset")
    assert [entry["kafka_offset"] for entry in entries] == sorted(expected)
    for entry in entries:
        place, reason = expected[entry["kafka_offset"]]
        assert entry["reason"].startswith(place)
        assert reason in entry["reason"]
    assert await pipeline.metric("sink", "credit_replication_quarantined_records") == len(spoiled)
    assert (await pipeline.get("relay", "/status")).json()["equal"] is False
    assert pipeline.processes["sink"].returncode is None


async def test_a_record_that_the_client_cannot_decode_is_set_aside_too(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(200))
    await pipeline.equal()
    await pipeline.signal("sink", signal.SIGSTOP)
    await pipeline.lake(party_insert(200, "before"))
    await pipeline.relayed()
    bad = [
        await send_undecodable(pipeline.kafka, pipeline.prefix + PARTY, partition) for partition in (0, 1, 1)
    ]
    await pipeline.lake(party_insert(200, "after"))
    await pipeline.relayed()
    await pipeline.signal("sink", signal.SIGCONT)
    assert (await pipeline.verify()).findings == ()

    entries = await pipeline.replica(
        "SELECT partition, kafka_offset, reason FROM replication.sink_quarantine "
        "WHERE reason LIKE '%the client cannot decode the record%' ORDER BY partition, kafka_offset"
    )
    # The last of the three cannot be reached behind it.
    unreached = [(0, bad[0] + 1), (1, bad[1] + 1), (1, bad[2] + 1)]
    found = [(entry["partition"], entry["kafka_offset"]) for entry in entries]
    assert found == sorted([*zip((0, 1, 1), bad, strict=True), *unreached])
    for entry in entries:
        place = f"{pipeline.prefix}{PARTY}/{entry['partition']}@{entry['kafka_offset']}: "
        assert entry["reason"].startswith(place)
    assert await pipeline.metric("sink", "credit_replication_quarantined_records") == 9
    assert pipeline.processes["sink"].returncode is None


PLANTED = {
    10: ("image = 'no JSON'", "credit.party: "),
    20: (
        "image = (image::jsonb - 'full_name')::text",
        "credit.party.full_name: missing from the image",
    ),
    30: (
        """image = jsonb_set(image::jsonb, '{revision}', '"seven"')::text""",
        "credit.party.revision: does not fit integer",
    ),
    40: (
        """image = jsonb_set(image::jsonb, '{birth_date}', '"some day"')::text""",
        "credit.party.birth_date: does not fit date",
    ),
    50: ("image = jsonb_set(image::jsonb, '{revision}', '99999999999')::text", "credit.party: "),
    60: ("image = jsonb_set(image::jsonb, '{full_name}', 'null')::text", "credit.party: "),
    70: ("""image = (image::jsonb || '{"more": 1}')::text""", "the image has columns that are not its own"),
    80: (
        "fingerprint = 'ffffffffffffffff'",
        "no definition has the fingerprint 'ffffffffffffffff'",
    ),
    90: ("image = ''", "operation 'c' without its key or its image"),
}
"""Name of the party → what is done to its row of the journal, and what the quarantine says of it."""


async def test_images_that_fit_no_row_are_set_aside_one_by_one_and_heal(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(1000, "Secret Name"))
    keys = {}
    for number, (change, _) in PLANTED.items():
        async with pipeline.lake_database.connect() as connection:
            keys[number] = await connection.fetchval(
                f"UPDATE journal.change SET {change} WHERE image LIKE $1 RETURNING key",
                f'%"Secret Name {number}"%',
            )
    await pipeline.start("relay")
    await pipeline.start("sink")
    result = await pipeline.verify()
    assert {(finding.key, finding.kind) for finding in result.findings} == {
        (key, "missing") for key in keys.values()
    }

    entries = {
        entry["key"].decode(): entry for entry in await pipeline.replica("TABLE replication.sink_quarantine")
    }
    assert set(entries) == set(keys.values())
    for number, (_, reason) in PLANTED.items():
        entry = entries[keys[number]]
        place = f"{pipeline.prefix}{PARTY}/{entry['partition']}@{entry['kafka_offset']}: "
        assert entry["reason"].startswith(place)
        assert reason in entry["reason"]
    assert "Secret Name" not in pipeline.log("sink")

    await pipeline.lake("UPDATE credit.party SET revision = revision + 1")
    await pipeline.equal()
    healed = await pipeline.replica("SELECT DISTINCT resolution FROM replication.sink_quarantine")
    assert [row["resolution"] for row in healed] == ["healed"]


async def test_what_another_sink_put_aside_is_measured_and_heals(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(1))
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    [party] = await pipeline.replica("SELECT id FROM credit.party")
    await pipeline.replica(
        "INSERT INTO replication.sink_quarantine (topic, partition, kafka_offset, key, headers, reason) "
        "VALUES ($1, 0, -1, $2, '{}', 'a test')",
        pipeline.prefix + PARTY,
        f'["{party["id"]}"]'.encode(),
    )

    async def is_measured() -> bool:
        return await pipeline.metric("sink", "credit_replication_quarantined_records") == 1

    await until(is_measured, "the sink measures another quarantine", pipeline, "sink")
    await pipeline.lake("UPDATE credit.party SET revision = revision + 1")
    await pipeline.equal()
    [entry] = await pipeline.replica("SELECT resolution FROM replication.sink_quarantine")
    assert entry["resolution"] == "healed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "DELETE FROM journal.change WHERE position > (SELECT max(position) - 50 FROM journal.change)",
            "CursorAheadOfJournal: the journal holds no change at",
        ),
        (
            "UPDATE journal.incarnation SET id = gen_random_uuid()",
            "JournalReplaced: the cursor is of journal",
        ),
        (
            "UPDATE journal.change SET captured_at = captured_at + interval '1 second'",
            "JournalReplaced: the change at",
        ),
    ],
    ids=["restored from an older copy", "another journal", "went another way after a restore"],
)
async def test_a_journal_that_is_not_the_cursors_stops_the_relay_by_name(
    pipeline: Pipeline, change: str, reason: str
) -> None:
    await pipeline.start("relay")
    await pipeline.lake(party_insert(100))
    await pipeline.relayed()
    await pipeline.signal("relay", signal.SIGKILL)
    [before] = await pipeline.replica("SELECT position_major, sent FROM replication.relay")
    await pipeline.lake(change)
    await pipeline.start("relay")
    assert await pipeline.died("relay") == 1
    assert reason in pipeline.log("relay")
    assert [before] == await pipeline.replica("SELECT position_major, sent FROM replication.relay")


async def test_records_of_another_journal_stop_the_sink_by_name(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(100))
    await pipeline.equal()
    await pipeline.signal("relay", signal.SIGKILL)
    await pipeline.lake("UPDATE journal.incarnation SET id = gen_random_uuid()")
    await pipeline.replica(
        "UPDATE replication.relay SET incarnation = NULL, captured_at = NULL, position_major = 0, sent = '{}'"
    )
    await pipeline.lake("UPDATE credit.party SET full_name = 'of another journal'")
    await pipeline.start("relay")
    assert await pipeline.died("sink") == 1
    assert "JournalReplaced: " in pipeline.log("sink")
    rows = await pipeline.replica("SELECT 1 FROM credit.party WHERE full_name = 'of another journal'")
    assert rows == []


async def test_a_traceparent_that_is_none_is_carried_and_never_followed(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    async with pipeline.lake_database.connect() as connection, connection.transaction():
        await connection.execute("SELECT set_config('journal.traceparent', '1', true)")
        await connection.execute(party_insert(10))
    await pipeline.equal()
    assert pipeline.processes["sink"].returncode is None


async def change_of_party(pipeline: Pipeline, change: str) -> list[str]:
    """Change the journal's rows of table party by hand; their keys."""
    async with pipeline.lake_database.connect() as connection:
        rows = await connection.fetch(
            f"UPDATE journal.change SET {change} WHERE table_name = 'credit.party' RETURNING key"
        )
        return [row["key"] for row in rows]

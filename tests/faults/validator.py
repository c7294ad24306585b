"""What must hold of a whole replication, whatever was killed: topics, journal, and every write to the replica.

The replica's rows carry no position, so triggers witness, in the sink's own transactions, what it writes and how far it
says that each partition is. A transaction that moves a partition from one position to another may write, of each key,
the newest image between the two and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import asyncpg
from aiokafka import TopicPartition

from services.chassis.messaging import close, open_consumer
from services.lake.journal.model import START, CapturedTable, Position
from services.replicator.errors import MalformedEvent
from services.replicator.records import parse
from tests.faults.order import Change, OrderValidator
from tests.integration.replicator.pipeline import Pipeline

WITNESS = """
    CREATE SCHEMA witness;
    CREATE TABLE witness.progress (
        n bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        topic text, partition int, kafka_offset bigint, major bigint, minor bigint, epoch bigint, fence bigint
    );
    CREATE TABLE witness.written (
        n bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        table_name text, gone boolean, image jsonb
    );
    CREATE FUNCTION witness.progress() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO witness.progress (topic, partition, kafka_offset, major, minor, epoch, fence) VALUES
            (NEW.topic, NEW.partition, NEW.kafka_offset, NEW.position_major, NEW.position_minor, NEW.epoch, NEW.fence);
        RETURN NULL;
    END $$;
    CREATE FUNCTION witness.written() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO witness.written (table_name, gone, image)
            SELECT TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP = 'DELETE', to_jsonb(r) FROM rows AS r;
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER INSERT OR UPDATE ON replication.sink_offset
        FOR EACH ROW EXECUTE FUNCTION witness.progress();
"""
WITNESS_TABLE = """
    CREATE TRIGGER witness_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION witness.written();
    CREATE TRIGGER witness_update AFTER UPDATE ON {table} REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION witness.written();
    CREATE TRIGGER witness_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION witness.written();
"""

Key = tuple[str, ...]


class _Image(NamedTuple):
    """A change as the journal holds it; `row` is None for a delete."""

    position: Position
    row: Mapping[str, Any] | None


class Validator:
    """Watches one pipeline from before its first change to after its last."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._tables: dict[str, CapturedTable] = {}

    async def watch(self) -> None:
        """From now on witness every write to the replica."""
        await self._read_definitions()
        async with self._pipeline.application_database.connect() as replica:
            await replica.execute(WITNESS)
            for table in self._tables:
                await replica.execute(WITNESS_TABLE.format(table=table))

    async def _read_definitions(self) -> None:
        async with self._pipeline.lake_database.connect() as lake:
            rows = await lake.fetch("SELECT definition FROM journal.captured_table ORDER BY installed_at")
        found = [CapturedTable.from_json(row["definition"]) for row in rows]
        self._tables = {table.full_name: table for table in found}

    async def writes(self, table: str) -> int:
        """How many rows of a table of the replica have been written or deleted."""
        [row] = await self._pipeline.replica(
            "SELECT count(*) AS n FROM witness.written WHERE table_name = $1", table
        )
        return int(row["n"])

    async def validate(self) -> Mapping[str, int]:
        """Check everything once no writer writes any more and the relay has sent all; give what was counted.

        Raises:
            AssertionError: naming what was violated, at most twenty times.
        """
        order = await self._delivered()
        async with self._pipeline.application_database.connect() as replica:
            moves = self._check_progress(
                order, await replica.fetch("SELECT * FROM witness.progress ORDER BY n")
            )
            await self._check_writes(order, moves, replica)
        assert not order.problems, "\n".join(order.problems[:20])
        return order.counts

    async def validate_at_rest(self) -> Mapping[str, int]:
        """As `validate`, once every partition has had its heartbeat: nothing more is sent, so the counts are final."""
        for _ in range(200):
            [row] = await self._pipeline.replica(
                "SELECT count(*) FILTER (WHERE value <> position_major || '.' || position_minor) AS lagging "
                "FROM replication.relay CROSS JOIN jsonb_each_text(sent)"
            )
            if row["lagging"] == 0:
                return await self.validate()
            await asyncio.sleep(0.1)
        raise TimeoutError("some partition had no heartbeat in 20 s")

    async def validate_order(self) -> Mapping[str, int]:
        """As `validate`, without the writes to the replica: for tables whose columns change meanwhile."""
        await self._read_definitions()
        order = await self._delivered()
        assert not order.problems, "\n".join(order.problems[:20])
        return order.counts

    async def _delivered(self) -> OrderValidator:
        """Compare what is on the topics with what the journal holds."""
        order = OrderValidator(self._pipeline.prefix)
        await self._read_topics(order)
        order.compare(
            {
                each.position: Change(each.table, each.key, each.operation)
                async for each in self._pipeline.changes()
            }
        )
        return order

    async def _read_topics(self, order: OrderValidator) -> None:
        consumer = await open_consumer(self._pipeline.kafka, None, "test-validator")
        try:
            places = []
            for table in self._tables:
                topic = self._pipeline.prefix + table
                await consumer._client.add_topic(topic)
                places += [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        try:
                            order.note(parse(record))
                        except MalformedEvent as error:
                            order.problems.append(str(error))
        finally:
            await close(consumer)

    def _check_progress(
        self, order: OrderValidator, rows: list[asyncpg.Record]
    ) -> dict[tuple[int, str, int], tuple[Position, Position]]:
        """Check that no partition ever went back; give from where to where each transaction moved it."""
        moves = {}
        before: dict[tuple[str, int], asyncpg.Record] = {}
        for row in rows:
            place = (row["topic"], row["partition"])
            reached = Position(row["major"], row["minor"])
            last = before.get(place)
            start = START if last is None else Position(last["major"], last["minor"])
            if last is not None and (
                reached < start or any(row[name] < last[name] for name in ("kafka_offset", "epoch", "fence"))
            ):
                order.problems.append(f"{place} went back from {dict(last)} to {dict(row)}")
            first = moves.get((row["xid"], *place), (start, reached))[0]
            moves[row["xid"], *place] = (first, reached)
            before[place] = row
        order.counts["batches"] = len({xid for xid, *_ in moves})
        return moves

    async def _check_writes(
        self,
        order: OrderValidator,
        moves: Mapping[tuple[int, str, int], tuple[Position, Position]],
        replica: asyncpg.Connection[asyncpg.Record],
    ) -> None:
        """Check that each transaction wrote of each key the newest image of what it moved over, once."""
        images = await self._images(replica)
        seen: set[tuple[int, str, Key]] = set()
        async with replica.transaction():
            async for written in replica.cursor("SELECT * FROM witness.written ORDER BY n", prefetch=5000):
                table = self._tables[written["table_name"]]
                row = json.loads(written["image"], parse_float=Decimal)
                key = tuple(str(row[name]) for name in table.key)
                order.counts["rows written"] += 1
                if (written["xid"], table.full_name, key) in seen:
                    order.problems.append(f"{table.full_name} {key} was written twice in one transaction")
                seen.add((written["xid"], table.full_name, key))
                candidates = images.get((table.full_name, key), [])
                newest = self._newest(order, moves, written["xid"], table.full_name, candidates)
                expected = None if newest is None else newest.row
                if newest is None or not _same(expected, None if written["gone"] else row):
                    order.problems.append(
                        f"{table.full_name} {key} was {'deleted' if written['gone'] else 'written'} in transaction "
                        f"{written['xid']}, which should have left {newest}"
                    )

    def _newest(
        self,
        order: OrderValidator,
        moves: Mapping[tuple[int, str, int], tuple[Position, Position]],
        xid: int,
        table: str,
        candidates: list[_Image],
    ) -> _Image | None:
        """The newest of a key's images that a transaction moved over."""
        newest = None
        for image in candidates:
            sent = order.delivered.get(image.position)
            if sent is None:
                continue
            move = moves.get((xid, self._pipeline.prefix + table, sent.partition))
            if move is not None and move[0] < image.position <= move[1]:
                newest = image
        return newest

    async def _images(
        self, replica: asyncpg.Connection[asyncpg.Record]
    ) -> dict[tuple[str, Key], list[_Image]]:
        """The journal's changes by table and key, in order, without those that went into the quarantine."""
        kept_out = {
            row["position"] for row in await replica.fetch("SELECT position FROM replication.sink_quarantine")
        }
        images: dict[tuple[str, Key], list[_Image]] = defaultdict(list)
        async for change in self._pipeline.changes():
            if str(change.position) not in kept_out:
                row = None if change.image is None else json.loads(change.image)
                images[change.table, tuple(json.loads(change.key))].append(_Image(change.position, row))
        return images


def _same(journalled: Mapping[str, Any] | None, stored: Mapping[str, Any] | None) -> bool:
    """Whether an image of the journal and a row of the replica, each as JSON, are the same row."""
    if journalled is None or stored is None:
        return journalled is stored
    return journalled.keys() <= stored.keys() and all(
        value == stored[name] or _value(value) == _value(stored[name]) for name, value in journalled.items()
    )


def _value(text: Any) -> Any:
    """What a JSON value stands for, however it was written: a number, an instant, or itself."""
    if text is None or isinstance(text, bool):
        return text
    try:
        return Decimal(str(text))
    except InvalidOperation:
        pass
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return str(text).lower()

"""A Kafka client that silently lost its group is closed: otherwise nobody would process its partitions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from opentelemetry import trace
from pydantic import SecretStr

from services.chassis.messaging import close, ensure_topics, open_consumer
from services.lake.database import Lake
from services.lake.journal.reader import JournalReader
from services.replicator.replica.connection import connect
from services.replicator.sink.postgresql import PostgreSQLReplica
from services.replicator.sink.rebalances import Rebalances
from services.replicator.sink.sink import Sink
from services.replicator.sink.timing import SinkTiming
from tests.integration.replicator.pipeline import Pipeline


async def test_a_client_whose_group_never_answers_is_given_up(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.open(pipeline.lake_url("sink"), service="test-sink", pool_size=2)
    journal = JournalReader(lake)
    names = {table.full_name for table in (await journal.definitions()).values()}
    topics = {f"{pipeline.prefix}{name}": 1 for name in names}
    await ensure_topics(pipeline.kafka, topics)
    rebalances = Rebalances()
    consumer = await open_consumer(
        pipeline.kafka, f"{pipeline.prefix}sink", "test-sink", list(topics), listener=rebalances
    )

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(consumer, "commit", never)

    async def connect_replica() -> PostgreSQLReplica:
        url = SecretStr(pipeline.application_database.url("sink"))
        return PostgreSQLReplica(await connect(url, name="test-sink"))

    sink = Sink(
        consumer,
        rebalances,
        journal,
        trace.get_tracer("test"),
        connect_replica,
        topic_prefix=pipeline.prefix,
        group="test",
        batch_changes=100,
        timing=SinkTiming(commit_seconds=0.2, lost_seconds=2.0),
    )
    try:
        with pytest.raises(KafkaTimeoutError, match="the group has not been heard of for 2 s"):
            await asyncio.wait_for(sink.run(asyncio.Event()), 60)
    finally:
        await close(consumer)
        await lake.dispose()

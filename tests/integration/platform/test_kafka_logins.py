"""Who may do what at the embedded broker: each login its own, everything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError
from pydantic import SecretStr

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import close, ensure_topics, open_consumer, open_producer
from services.intake.messages.domain import GROUP
from services.platform.components.kafka import PARTNER_TOPICS
from services.platform.home import PARTNER
from services.platform.platform import Platform

TOPIC = "lake.credit.logins_under_test"
OTHER = "other.logins_under_test"


@pytest.fixture(scope="module")
async def broker(platform: Platform, kafka: KafkaAccess) -> Platform:
    await ensure_topics(kafka, {OTHER: 1})
    await ensure_topics(platform.kafka_access("relay"), {TOPIC: 1}, configs={"max.message.bytes": "2000000"})
    return platform


async def produce(access: KafkaAccess, topic: str) -> None:
    producer = await open_producer(access, "test")
    try:
        await producer.send_and_wait(topic, b"x")
    finally:
        await close(producer)


async def consume(access: KafkaAccess, topic: str, group: str | None = None, partitions: int = 1) -> int:
    consumer = await open_consumer(access, group, "test", [topic] if group else ())
    try:
        if group is None:
            consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        records = await consumer.getmany(timeout_ms=5000)
        return sum(map(len, records.values()))
    finally:
        await close(consumer)


async def test_relay_writes_and_sink_and_loader_read_the_lake(broker: Platform) -> None:
    await produce(broker.kafka_access("relay"), TOPIC)
    assert await consume(broker.kafka_access("sink"), TOPIC, "creditmesh-sink") == 1
    assert await consume(broker.kafka_access("loader"), TOPIC) == 1
    assert (await ensure_topics(broker.kafka_access("sink"), {TOPIC: 1}))[TOPIC] == 2_000_000


@pytest.mark.parametrize(
    ("login", "topic"),
    [("relay", OTHER), ("sink", TOPIC), ("sink", OTHER), ("loader", TOPIC), ("loader", OTHER)],
)
async def test_nobody_else_writes(broker: Platform, login: str, topic: str) -> None:
    with pytest.raises(KafkaError):
        await produce(broker.kafka_access(login), topic)


async def test_the_partner_writes_to_its_own_topic_alone(broker: Platform) -> None:
    (own,) = PARTNER_TOPICS
    another = f"intake.payments.{PARTNER}", "intake.applications.00000000-0000-7000-8000-000000000001"
    await ensure_topics(broker.kafka_access(), dict.fromkeys(another, 1))
    await produce(broker.kafka_access("partner"), own)
    for topic in (*another, TOPIC, OTHER):
        with pytest.raises(KafkaError):
            await produce(broker.kafka_access("partner"), topic)
        with pytest.raises(KafkaError):
            await produce(broker.kafka_access("intake"), topic)


async def test_intake_reads_the_senders_and_sees_no_other_topic(broker: Platform) -> None:
    ((own, partitions),) = PARTNER_TOPICS.items()
    await produce(broker.kafka_access("partner"), own)
    # Outside of the group: intake may be running, and have the partitions.
    assert await consume(broker.kafka_access("intake"), own, partitions=partitions) >= 1
    consumer = await open_consumer(broker.kafka_access("intake"), GROUP, "test")
    try:
        assert {topic.partition(".")[0] for topic in await consumer.topics()} == {"intake"}
    finally:
        await close(consumer)
    with pytest.raises(GroupAuthorizationFailedError):
        await consume(broker.kafka_access("partner"), own, GROUP)


async def test_the_sink_reads_nothing_but_the_lake(broker: Platform) -> None:
    await produce(broker.kafka_access(), OTHER)
    assert await consume(broker.kafka_access(), OTHER) == 1
    assert await consume(broker.kafka_access("sink"), OTHER) == 0


async def test_a_group_is_its_owner_s(broker: Platform) -> None:
    for login in ("relay", "loader"):
        with pytest.raises(GroupAuthorizationFailedError):
            await consume(broker.kafka_access(login), TOPIC, "creditmesh-sink")


@pytest.mark.parametrize("login", ["sink", "loader"])
async def test_nobody_creates_topics_beside_the_lake_s(broker: Platform, login: str) -> None:
    with pytest.raises(KafkaError):
        await ensure_topics(broker.kafka_access(login), {f"{OTHER}.mine": 1})


async def test_a_stranger_gets_nothing(broker: Platform) -> None:
    right = broker.kafka_access("relay")
    for wrong in (
        KafkaAccess(right.bootstrap),
        replace(right, password=SecretStr("guessed")),
        replace(right, username="nobody"),
        replace(right, username="creditmesh"),
        replace(right, mechanism="PLAIN"),
    ):
        client = AIOKafkaConsumer(**wrong.client(), request_timeout_ms=4000)
        with pytest.raises((KafkaConnectionError, KafkaError)):
            await client.start()
        await client.stop()


async def test_a_producer_without_a_login_is_refused(broker: Platform) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.settings.kafka_bootstrap, request_timeout_ms=4000)
    with pytest.raises(KafkaError):
        await producer.start()
    await producer.stop()

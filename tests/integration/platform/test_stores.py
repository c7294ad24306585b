"""PostgreSQL and Kafka as the platform gives them to everyone."""

from __future__ import annotations

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from services.chassis.kafka_access import KafkaAccess
from services.platform.platform import Platform


async def _connect(platform: Platform, database: str, login: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(platform.database_url(database, login).replace("+asyncpg", ""))


async def test_postgresql_is_set_up_for_change_capture(postgres: Platform) -> None:
    connection = await _connect(postgres, "lake", "creditmesh")
    try:
        shown = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in (
                "wal_level",
                "track_commit_timestamp",
                "max_prepared_transactions",
                "server_encoding",
            )
        }
        hashed = await connection.fetchval(
            "SELECT bool_and(rolpassword LIKE 'SCRAM%') FROM pg_authid WHERE rolcanlogin"
        )
    finally:
        await connection.close()
    assert shown == {
        "wal_level": "logical",
        "track_commit_timestamp": "on",
        "max_prepared_transactions": "20",
        "server_encoding": "UTF8",
    }
    assert hashed is True


@pytest.mark.parametrize(
    ("database", "login"), [("lake", "intake"), ("application", "auth"), ("lake", "verifier")]
)
async def test_a_service_enters_its_database(postgres: Platform, database: str, login: str) -> None:
    connection = await _connect(postgres, database, login)
    try:
        assert await connection.fetchval("SELECT current_user") == login
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("database", "login"), [("lake", "auth"), ("application", "intake"), ("application", "loader")]
)
async def test_a_service_does_not_enter_another_database(
    postgres: Platform, database: str, login: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _connect(postgres, database, login)


async def test_a_second_start_leaves_running_programs_alone(postgres: Platform) -> None:
    before = postgres.supervisor.all()["postgres"].pid
    await postgres.up(["databases"])
    assert postgres.supervisor.all()["postgres"].pid == before


async def test_kafka_keeps_what_it_is_given(kafka: KafkaAccess) -> None:
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    await admin.create_topics([NewTopic("platform.test", num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(**kafka.client(), enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("platform.test", b"value", key=b"key")
    await producer.stop()
    consumer = AIOKafkaConsumer(**kafka.client())
    await consumer.start()
    partition = TopicPartition("platform.test", 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    record = await consumer.getone()
    await consumer.stop()
    assert (record.key, record.value) == (b"key", b"value")

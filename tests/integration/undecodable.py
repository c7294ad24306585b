"""A record that no client writes: the name of its header is not UTF-8."""

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c_py

from services.chassis.kafka_access import KafkaAccess


async def send_undecodable(kafka: KafkaAccess, topic: str, partition: int) -> int:
    """Put a record with a header whose name is not UTF-8 between two others of one batch; its offset."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number in range(3):
        headers = [("marker", b"")] if number == 1 else []
        builder.append(number, timestamp=1_700_000_000_000, key=b'["k"]', value=b"{}", headers=headers)
    spoiled = bytes(builder.build()).replace(b"marker", b"\xff\xfeer\xfd\xfc")
    # Bytes 17 to 20 are the checksum of those behind it.
    spoiled = spoiled[:17] + calc_crc32c_py(spoiled[21:]).to_bytes(4, "big") + spoiled[21:]
    producer = AIOKafkaProducer(**kafka.client())
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"")
        batch.close()
        batch._buffer = bytearray(spoiled)  # no client writes such a name
        sent = await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()
    return int(sent.offset) + 1

"""Connectors to files, S3 and Kafka, each against a real counterpart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from moto.server import ThreadedMotoServer
from pyarrow import fs, parquet

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import ensure_topics
from services.loader.errors import SourceChanged, SourceUnreachable
from tests.integration.loader.rates import FINDINGS, Rates

# Files


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server with an empty bucket `partner`; its endpoint."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("PARTNER_S3", f"http://{host}:{port}")
        bucket(f"{host}:{port}").create_dir("partner")
        yield f"{host}:{port}"
    moto.stop()


def bucket(endpoint: str) -> fs.S3FileSystem:
    return fs.S3FileSystem(
        endpoint_override=endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
    )


def write(system: fs.FileSystem, path: str, content: bytes) -> None:
    with system.open_output_stream(path) as stream:
        stream.write(content)


async def test_each_version_of_a_file_in_s3_is_read_once(rates: Rates, s3: str) -> None:
    await rates.flow("files", "{format: csv, endpoint_variable: PARTNER_S3}", "s3://partner/rates/*.csv")
    partner = bucket(s3)
    write(partner, "partner/rates/monday.csv", b'code,rate,note\nA,0.10,"two\nlines"\nB,0.2,\n')
    write(partner, "partner/rates/readme.txt", b"not a rate")
    first = await rates.run()
    assert await rates.landed() == [("r", "A", "0.10"), ("r", "B", "0.2")]
    images = await rates.loading.value(
        "SELECT array_agg(image::json ->> 'note' ORDER BY position_minor) FROM dl.partner_rate"
    )
    assert images == ["two\nlines", None]
    assert (await rates.run()).batches == ()
    again = await rates.replay(first.batches[0].batch_id)
    assert again.batches[0].checksum == first.batches[0].checksum
    assert len(await rates.landed()) == 2

    write(partner, "partner/rates/monday.csv", b"code,rate\nA,0.15\n")
    write(partner, "partner/rates/tuesday.csv", b"code,rate\nC,0.3\n")
    await rates.run()
    assert (await rates.landed())[2:] == [("r", "A", "0.15"), ("r", "C", "0.3")]
    with pytest.raises(SourceChanged, match=r"monday\.csv is no longer the version of \d+ bytes"):
        await rates.replay(again.batches[0].batch_id)

    write(partner, "partner/rates/wednesday.csv", b"code,rate\nD,dear\n")
    await rates.run()
    assert (await rates.landed())[4:] == [("r", "D", "dear")]
    assert await rates.loading.value(FINDINGS) == ["rate: load, not_null, type numeric: 1 of 1"]
    write(partner, "partner/rates/wednesday.csv", b"code,price\nD,0.40\n")
    await rates.refuses(SourceChanged, r"wednesday\.csv, row 1: there is no column rate")
    write(partner, "partner/rates/wednesday.csv", b"code,rate\n")
    assert (await rates.run()).rows == 0
    write(partner, "partner/rates/thursday.csv", b"code,rate\nE,0.5\n")
    await rates.run()
    assert (await rates.landed())[5:] == [("r", "E", "0.5")]


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
async def test_local_files_of_other_formats(rates: Rates, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "rates"
    folder.mkdir()
    await rates.flow("files", f"{{format: {kind}}}", f"{folder}/*.{kind}")
    assert (await rates.run()).batches == ()
    path = folder / f"monday.{kind}"
    if kind == "ndjson":
        path.write_text('{"code": "A", "rate": 0.10}\n\n{"code": "B", "rate": 2}')
    else:
        parquet.write_table(pa.table({"code": ["A", "B"], "rate": [0.1, 2.0]}), path)
    await rates.run()
    expected = ["0.10", 2] if kind == "ndjson" else ["0.1", "2.0"]
    assert await rates.landed() == [("r", "A", expected[0]), ("r", "B", expected[1])]
    (folder / f"tuesday.{kind}").write_text("{")
    await rates.refuses(SourceChanged, f"is not {kind}")
    folder.rename(tmp_path / "elsewhere")
    await rates.refuses(SourceUnreachable, "create the folder or bucket")


async def test_what_a_complete_file_no_longer_has_is_deleted(rates: Rates, tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    await rates.flow("files", "{format: csv, delimiter: ';', complete: true}", str(path))
    path.write_text("code;rate\nA;0.1\nB;0.2\n")
    await rates.run()
    path.write_text("code;rate\nB;0.25\nC;0.3\n")
    os.utime(path, ns=(1, 1))
    await rates.run()
    assert await rates.landed() == [
        ("c", "A", "0.1"),
        ("c", "B", "0.2"),
        ("u", "B", "0.25"),
        ("c", "C", "0.3"),
        ("d", "A", None),
    ]


# Kafka


async def test_offsets_of_a_topic_land_once_with_headers_and_deletes(
    rates: Rates, kafka: KafkaAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"partner-rates-{uuid4().hex[:8]}"
    for name, value in kafka.environment().items():
        monkeypatch.setenv(name, value)
    await rates.flow("kafka", "{}", topic)
    await rates.refuses(SourceChanged, f"there is no topic {topic}")
    await ensure_topics(kafka, {topic: 2})
    assert (await rates.run()).batches == ()

    async def send(code: str, value: str | None, partition: int = 0) -> None:
        traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await producer.send_and_wait(
            topic,
            None if value is None else value.encode(),
            key=code.encode(),
            partition=partition,
            headers=[("traceparent", traceparent.encode()), ("from", b"partner")],
        )

    async with AIOKafkaProducer(**kafka.client(), transactional_id=f"test-{topic}") as producer:
        async with producer.transaction():
            await send("A", '{"code": "A", "rate": 0.10}')
            await send("B", '{"code": "B", "rate": 0.2}', partition=1)
            await send("A", None)
        first = await rates.run()
        assert sorted(await rates.landed()) == [("d", "A", None), ("r", "A", "0.10"), ("r", "B", "0.2")]
        assert (await rates.run()).batches == ()
        headers = await rates.loading.value(
            "SELECT array_agg(DISTINCT traceparent || (image::json ->> '_headers')) FROM dl.partner_rate "
            "WHERE image IS NOT NULL"
        )
        assert headers == ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01{"from":"partner"}']
        again = await rates.replay(first.batches[0].batch_id)
        assert again.batches[0].checksum == first.batches[0].checksum
        assert len(await rates.landed()) == 3

        # More than one fetch brings, in turns: whatever comes first, partition by partition it is read.
        async with producer.transaction():
            for number in range(60):
                await send(f"K{number}", f'{{"code": "K{number}", "rate": {number}}}', partition=number % 2)
        monkeypatch.setattr("services.loader.connectors.kafka.READ_RECORDS", 7)
        many = (await rates.run()).batches[0]
        assert many.row_count == 60
        monkeypatch.setattr("services.loader.connectors.kafka.READ_RECORDS", 11)
        assert (await rates.replay(many.batch_id)).batches[0].checksum == many.checksum

        async with producer.transaction():
            await send("C", "no JSON")
        await rates.refuses(SourceChanged, r"partition 0, offset \d+ cannot be read")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    await rates.refuses(SourceUnreachable, "Kafka at 127.0.0.1:1 does not answer")

"""Connectors beside the journal's, each against a real counterpart."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from moto.server import ThreadedMotoServer
from pyarrow import fs, parquet

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import ensure_topics
from services.loader.connectors.factory import connector_of
from services.loader.derived import derived_statements
from services.loader.errors import LoaderError, NotReplayable, SourceChanged, SourceUnreachable
from services.loader.flows.files import read_flow
from services.loader.flows.model import DbtFlow
from services.loader.landing import landing_named
from services.loader.loading.load import Loaded
from tests.integration.loader.loading import Loading

FINDINGS = (
    "SELECT array_agg(concat(column_name, ': ', expectation, ': ', failed_count, ' of ', checked_count)) "
    "FROM dl.quality_result WHERE NOT success AND checked_at = (SELECT max(checked_at) FROM dl.quality_result)"
)
"""What the newest load has found that does not fit."""


HEAD = """\
name: rates
layer: dl
description: Rates of partners.
schedule: {cron: "0 6 * * *"}
freshness_minutes: 1500
retries: 2
timeout_minutes: 5
"""
TARGET = """\
targets:
  - source: %s
    table: partner_rate
    keys: [code]
    columns: [code, rate]
    checks:
      - {column: rate, type: numeric, not_null: true}
"""
ROWS = "SELECT operation, row_key, image FROM dl.partner_rate ORDER BY position_major, position_minor"


class Rates:
    """One landing table of partners' rates, loaded by whichever connector."""

    def __init__(self, loading: Loading, folder: Path) -> None:
        self.loading, self._folder = loading, folder

    async def flow(self, connector: str, source: str, target: str) -> None:
        """Write the flow file and make its landing table."""
        path = self._folder / "rates.yaml"
        path.write_text(f"{HEAD}connector: {connector}\nsource: {source}\n{TARGET % target}")
        flow = read_flow(path)
        assert not isinstance(flow, DbtFlow)
        self.loading.flow = flow
        async with self.loading.warehouse.connect() as owner:
            for statement in derived_statements(landing_named("postgresql"), ["partner_rate"]):
                await owner.execute(statement)

    async def run(self) -> Loaded:
        """Load what is new."""
        return await self.loading.run(connector=connector_of(self.loading.flow))

    async def replay(self, batch_id: int) -> Loaded:
        """Load a batch's window again."""
        async with self.loading.loader(connector=connector_of(self.loading.flow)) as loader:
            return await loader.replay(batch_id, lambda _: None)

    async def landed(self) -> list[tuple[str, str, Any]]:
        """Operation, key and rate of all that landed, in order."""
        async with self.loading.warehouse.connect() as owner:
            return [
                (row[0], json.loads(row[1])[0], row[2] and json.loads(row[2])["rate"])
                for row in await owner.fetch(ROWS)
            ]

    async def refuses(self, error: type[LoaderError], said: str) -> str:
        """Run in vain: nothing lands, and the watermark is where it was."""
        before = (await self.landed(), await self.loading.watermark())
        with pytest.raises(error, match=said) as caught:
            await self.run()
        assert (await self.landed(), await self.loading.watermark()) == before
        return str(caught.value)


@pytest.fixture
def rates(loading: Loading, tmp_path: Path) -> Rates:
    return Rates(loading, tmp_path)


# SQL


@pytest.fixture
async def partner(rates: Rates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A partner's database."""
    monkeypatch.setenv("PARTNER_URL", rates.loading.lake.url())
    async with rates.loading.lake.connect() as owner:
        await owner.execute(
            "CREATE TABLE public.partner (code text PRIMARY KEY, rate numeric(9,6) NOT NULL, "
            "changed_at timestamptz NOT NULL DEFAULT now() - interval '1 hour')"
        )
        yield owner


async def test_a_whole_table_lands_as_differences_and_deletes(rates: Rates, partner: Any) -> None:
    await rates.flow("sql", "{url_variable: PARTNER_URL}", "public.partner")
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1), ('B', 0.2), ('C', 0.3)")
    first = await rates.run()
    assert await rates.landed() == [("c", "A", "0.100000"), ("c", "B", "0.200000"), ("c", "C", "0.300000")]
    assert (await rates.run()).batches == ()
    await partner.execute("DELETE FROM partner WHERE code = 'A'")
    await partner.execute("UPDATE partner SET rate = 0.25 WHERE code = 'B'")
    assert (await rates.run()).rows == 2
    assert (await rates.landed())[3:] == [("u", "B", "0.250000"), ("d", "A", None)]
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1)")
    await rates.run()
    assert (await rates.landed())[5:] == [("c", "A", "0.100000")]

    with pytest.raises(NotReplayable, match="shows only what is there now"):
        await rates.replay(first.batches[0].batch_id)
    await partner.execute("TRUNCATE partner")
    await rates.refuses(SourceChanged, "is empty, and 3 rows of it have landed")
    await partner.execute("ALTER TABLE partner RENAME rate TO price")
    await rates.refuses(SourceChanged, 'column "rate" does not exist')


async def test_what_commits_late_below_the_watermark_comes_with_the_next_window(
    rates: Rates, partner: Any
) -> None:
    source = "{url_variable: PARTNER_URL, watermark: {column: changed_at, lag_seconds: 60, overlap: 600}}"
    await rates.flow("sql", source, "public.partner")
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1), ('YOUNG', 0.9)")
    await partner.execute("UPDATE partner SET changed_at = now() WHERE code = 'YOUNG'")
    await rates.run()
    assert await rates.landed() == [("c", "A", "0.100000")]
    await partner.execute("INSERT INTO partner VALUES ('LATE', 0.2, now() - interval '9 minutes')")
    await partner.execute(
        "UPDATE partner SET rate = 0.3, changed_at = now() - interval '5 minutes' WHERE code = 'A'"
    )
    await rates.run()
    assert (await rates.landed())[1:] == [("c", "LATE", "0.200000"), ("u", "A", "0.300000")]
    assert (await rates.run()).batches == ()
    await partner.execute(
        "ALTER TABLE partner ALTER changed_at DROP NOT NULL; UPDATE partner SET changed_at = NULL"
    )
    await rates.refuses(SourceChanged, "changed_at is NULL in some row")


async def test_a_database_that_is_down_is_told(rates: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    await rates.flow("sql", "{url_variable: PARTNER_URL}", "public.partner")
    monkeypatch.setenv("PARTNER_URL", "postgresql+asyncpg://a:secret@127.0.0.1:1/b")
    assert "secret" not in await rates.refuses(SourceUnreachable, "PARTNER_URL does not answer")


# HTTP


class Partner(BaseHTTPRequestHandler):
    """Answers in pages of two, as its server's `rates` say."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers["Authorization"]))
        if server.failures:
            self._answer(server.failures.pop(), {})
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        page = int(query.get("page", ["1"])[0])
        items = [{"code": code, "rate": rate} for code, rate in server.rates.items()]
        if path == "/whole":
            page = 1
        body: dict[str, Any] = {"data": {"items": items[2 * page - 2 : 2 * page]}}
        if path == "/linked" and 2 * page < len(items):
            body["next"] = f"/linked?page={page + 1}"
        self._answer(200, body)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A partner's API."""
    serving: Any = ThreadingHTTPServer(("127.0.0.1", 0), Partner)
    serving.rates, serving.failures, serving.asked = {}, [], []
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setenv("PARTNER_TOKEN", "Bearer sesame")
    yield serving
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize(
    ("path", "pages"), [("linked", "{kind: next_link}"), ("numbered", "{kind: page_number}")]
)
async def test_pages_are_followed_and_tried_again(rates: Rates, server: Any, path: str, pages: str) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    headers = "headers: {Authorization: PARTNER_TOKEN}"
    source = f"{{url: {url!r}, items: data.items, pages: {pages}, {headers}, attempts: 3}}"
    await rates.flow("http", source, path)
    server.rates = {"A": 0.1, "B": 12345678901234567890, "C": 0.3, "D": 1, "E": 2.5}
    server.failures = [503, 429]
    await rates.run()
    assert await rates.landed() == [
        ("c", "A", "0.1"),
        ("c", "B", "12345678901234567890"),
        ("c", "C", "0.3"),
        ("c", "D", 1),
        ("c", "E", "2.5"),
    ]
    assert {token for _, token in server.asked} == {"Bearer sesame"}
    del server.rates["A"]
    await rates.run()
    assert (await rates.landed())[5:] == [("d", "A", None)]
    # One bad row lands with the others and is counted; once it is put right, nothing is.
    server.rates["B"] = "much"
    await rates.run()
    assert (await rates.landed())[6:] == [("u", "B", "much")]
    assert await rates.loading.value(FINDINGS) == ["rate: load, not_null, type numeric: 1 of 4"]
    server.rates["B"] = 0.5
    await rates.run()
    assert await rates.loading.value(FINDINGS) is None
    server.rates = {}
    await rates.refuses(SourceChanged, "is empty, and 4 rows of it have landed")
    server.failures = [500] * 3
    await rates.refuses(SourceUnreachable, "answered 500, 3 tries at most")


async def test_a_server_that_knows_no_pages_is_told(rates: Rates, server: Any) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    await rates.flow("http", f"{{url: {url!r}, items: data.items, pages: {{kind: page_number}}}}", "whole")
    server.rates = {"A": 0.1, "B": 0.2}
    await rates.refuses(SourceChanged, "page 2 is the page before it once more")
    assert len(server.asked) == 2
    assert await rates.landed() == []


async def test_an_api_that_is_down_is_told(rates: Rates) -> None:
    source = "{url: 'http://127.0.0.1:1', pages: {kind: next_link}, attempts: 1}"
    await rates.flow("http", source, "rates")
    await rates.refuses(SourceUnreachable, "127.0.0.1:1/rates does not answer")


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

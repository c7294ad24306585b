"""Traces through the data: all spans of a batch can be read back from the store."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx

from tests.integration.replicator.pipeline import Pipeline, party_insert

CHANGES = 300


async def test_a_flush_of_300_sampled_changes_holds_all_300_links(
    pipeline: Pipeline, otlp: str, zipkin: str
) -> None:
    trace_id = secrets.token_hex(16)
    parents = {secrets.token_hex(8) for _ in range(CHANGES)}
    async with pipeline.lake_database.connect() as connection:
        for parent in parents:
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('journal.traceparent', $1, true)", f"00-{trace_id}-{parent}-01"
                )
                await connection.execute(party_insert(1))
    pipeline.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    }
    await pipeline.start("relay")
    await pipeline.relayed()
    await pipeline.start("sink")
    await pipeline.equal()

    async with httpx.AsyncClient(base_url=zipkin) as store:
        processed: list[dict[str, Any]] = []
        for _ in range(150):
            answer = await store.get(f"/api/v2/trace/{trace_id}")
            processed = answer.json() if answer.status_code == 200 else []
            if len(processed) >= CHANGES:
                break
            await asyncio.sleep(0.2)
        assert len(processed) == CHANGES
        assert {span["parentId"] for span in processed} == parents
        expected = {f"{span['traceId']}-{span['id']}" for span in processed}

        linked: set[str] = set()
        for _ in range(100):
            answer = await store.get(
                "/api/v2/traces",
                params={"serviceName": "replicator-sink", "spanName": "apply batch", "limit": 500},
            )
            flushes = [span for trace in answer.json() for span in trace if span["name"] == "apply batch"]
            links = [
                {value for key, value in span.get("tags", {}).items() if key.startswith("link.")}
                for span in flushes
            ]
            linked = next((each for each in links if expected <= each), set())
            if linked:
                break
            await asyncio.sleep(0.2)
        assert expected <= linked, "no flush links to every change"


async def test_a_bulk_change_is_one_span_a_table_with_its_count(
    pipeline: Pipeline, otlp: str, zipkin: str
) -> None:
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    async with pipeline.lake_database.connect() as connection, connection.transaction():
        await connection.execute(
            "SELECT set_config('journal.traceparent', $1, true)", f"00-{trace_id}-{parent}-01"
        )
        await connection.execute(party_insert(CHANGES))
    pipeline.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp}
    await pipeline.start("relay")
    await pipeline.relayed()
    await pipeline.start("sink")
    await pipeline.equal()
    async with httpx.AsyncClient(base_url=zipkin) as store:
        for _ in range(150):
            answer = await store.get(f"/api/v2/trace/{trace_id}")
            spans = answer.json() if answer.status_code == 200 else []
            if sum(int(span["tags"]["messaging.batch.message_count"]) for span in spans) == CHANGES:
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"the spans do not account for {CHANGES} changes: {spans}")
    # As many as polls brought them, not as many as there are rows.
    assert len(spans) <= 8

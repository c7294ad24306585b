"""Lineage that nobody takes, or that cannot be made, is counted and said, and fails no build."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.warehouse.conftest import Warehouse

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def babbling() -> AsyncIterator[str]:
    """The address of a server whose answers are no HTTP."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xffno HTTP at all\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_lineage_server_that_is_down_or_babbles_fails_no_build(
    pieced: Warehouse, babbling: str
) -> None:
    for address in (babbling, "http://127.0.0.1:9"):
        transport = {"type": "http", "url": address, "retry": {"total": 1, "backoff_factor": 0}}
        pieced.environment = {"OPENLINEAGE__TRANSPORT": json.dumps(transport)}
        done = await pieced.build("credit_approval_band", "--tests", "none")
        assert done.result["states"].keys() == {"success"}
        # The run's start and end, and those of the model.
        assert done.result["lineage"] == {"sent": 0, "unsent": 4}
        assert "of 4 OpenLineage events 4 were not sent" in done.output


async def test_a_lineage_that_cannot_be_made_fails_no_build(pieced: Warehouse) -> None:
    pieced.tells_lineage = True
    for wrong in (
        {"OPENLINEAGE_PARENT_ID": "flows/dag/no-uuid"},
        {"OPENLINEAGE__TRANSPORT": json.dumps({"type": "carrier-pigeon"})},
    ):
        pieced.environment = wrong
        done = await pieced.build("credit_approval_band", "--tests", "none")
        assert done.result["states"].keys() == {"success"}
        assert done.result["lineage"]["sent"] == 0
        assert done.result["lineage"]["unsent"] >= 1

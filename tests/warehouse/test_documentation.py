"""Every model and every column of it is described, and what is described is there."""

from __future__ import annotations

import json

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.linting import complaints

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)


async def test_every_column_is_described(built: Warehouse) -> None:
    manifest = json.loads(next(built.folder.rglob("manifest.json")).read_text())
    described = {
        (node["schema"], node["name"]): {
            name for name, column in node["columns"].items() if column["description"]
        }
        for node in manifest["nodes"].values()
        if node["resource_type"] in {"model", "seed"}
    }
    without = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and not node["description"]
    ]
    there: dict[tuple[str, str], set[str]] = {}
    for row in await built.rows(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_schema IN ('ods', 'dw', 'dm', 'ap') "
        # What is set aside is described in the guide.
        "AND table_name <> 'quarantine'"
    ):
        there.setdefault((row["table_schema"], row["table_name"]), set()).add(row["column_name"])
    assert without == []
    assert described == there


@pytest.mark.long
async def test_what_postgresql_runs_is_written_alike(built: Warehouse) -> None:
    models = next(built.folder.rglob("compiled/creditmesh/models"))
    assert await complaints(models, "postgres") == ""

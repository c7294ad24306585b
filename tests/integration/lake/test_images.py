"""Images of real rows are what the AsyncAPI document says that consumers get."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from services.lake.samples.seed import seed_samples
from services.lake.tables import CAPTURED
from tests.conftest import Database
from tests.integration.lake.seeding import lake_of
from tests.scripts import load_script

ROOT = Path(__file__).parents[3]


async def test_images_and_keys_meet_their_schemas(fresh_lake: Database) -> None:
    async with lake_of(fresh_lake) as lake:
        await seed_samples(lake)
    async with fresh_lake.connect() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT ON (table_name, key) table_name, key, image FROM journal.change "
            "WHERE image IS NOT NULL"
        )
    components = load_script(ROOT / "docs/asyncapi.py").document()["components"]
    validators = {
        name: jsonschema.Draft202012Validator(components["schemas"][name]) for name in components["messages"]
    }
    seen = set()
    for row in rows:
        name = row["table_name"]
        validators[name].validate(json.loads(row["image"]))
        key = components["messages"][name]["bindings"]["kafka"]["key"]
        jsonschema.validate(json.loads(row["key"]), key)
        seen.add(name)
    # The samples have no proposal, document or report of a bureau.
    assert {table.fullname for table in CAPTURED} - seen <= {
        "credit.bureau_report",
        "credit.document",
        "credit.loan_classification",
        "credit.loan_proposal",
    }

"""What builds note about themselves: in a schema of its own, and carried over from where it was."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import AS_OF
from tests.warehouse.test_partitions import TODAY, built_again, payment

# The first build makes the whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'"
)
BACK = """
ALTER TABLE build.partition_version RENAME CONSTRAINT pk_partition_version TO pk_part;
ALTER TABLE build.partition_version RENAME TO part;
ALTER TABLE build.partition_read RENAME CONSTRAINT pk_partition_read TO pk_part_read;
ALTER TABLE build.partition_read RENAME COLUMN partition_kind TO part_kind;
ALTER TABLE build.partition_read RENAME COLUMN partition_day TO part_day;
ALTER TABLE build.partition_read RENAME TO part_read;
"""
"""The names of before; where the tables were follows."""


async def names(warehouse: Warehouse, schema: str) -> set[str]:
    """The tables of a schema."""
    return {row["table_name"] for row in await warehouse.rows(TABLES, schema)}


async def test_what_builds_noted_in_ods_is_carried_over(copied: Warehouse, changes: Sequence[Change]) -> None:
    """A build after the upgrade reads what is new, and builds nothing again."""
    noted = await copied.checksums("build")
    there = await names(copied, "build")
    async with copied.database.connect("transformer") as transformer:
        # It is younger than the schema.
        await transformer.execute("DROP TABLE build.run")
    assert there >= {
        "watermark",
        "model_state",
        "partition_version",
        "partition_read",
        "affected_fact_decision",
    }
    assert not await names(copied, "ods") & there
    async with copied.database.connect("transformer") as transformer:
        await transformer.execute(BACK)
        for table in await names(copied, "build"):
            await transformer.execute(f"ALTER TABLE build.{table} SET SCHEMA ods")
    async with copied.database.connect() as owner:
        await owner.execute("DROP SCHEMA build; CREATE SCHEMA build AUTHORIZATION transformer")

    untouched = await copied.models()

    assert await names(copied, "build") == there
    assert not await names(copied, "ods") & {*there, "part", "part_read"}
    assert "rebuilds" not in untouched.output
    assert untouched.result["batch_id"] is None or untouched.result["batch_id"] <= copied.batches
    assert await copied.checksums("build") == noted

    batch = await copied.land([payment(changes, 10**6, AS_OF, "behind the upgrade")])
    written = await built_again(copied)
    assert {snapshot for snapshots in written.values() for snapshot in snapshots} == {TODAY}
    read = await copied.rows(
        "SELECT min(done) AS done FROM build.watermark WHERE source = 'credit_loan_transaction'"
    )
    assert read == [{"done": batch}]

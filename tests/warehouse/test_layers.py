"""Layers built apart: whatever failed or was killed in between, the next build includes all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.warehouse.conftest import Change, Warehouse

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]


@asynccontextmanager
async def refusing(warehouse: Warehouse, *tables: str) -> AsyncIterator[None]:
    """Have tables take no row, so that their models fail and those beside them do not."""
    async with warehouse.database.connect() as owner:
        for table in tables:
            await owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT refusing CHECK (false) NOT VALID")
    yield
    async with warehouse.database.connect() as owner:
        for table in tables:
            await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT refusing")


async def test_a_layer_built_behind_a_half_built_one_takes_up_the_rest_later(
    built: Warehouse, pieced: Warehouse, changes: Sequence[Change]
) -> None:
    await pieced.land(changes[::2])
    await pieced.models()
    await pieced.land(changes[1::2])
    # Applications have no points in time, loans no instalments; all that lies beside these is built.
    async with refusing(pieced, "dw.link_application_party", "dw.link_instalment", "dw.pit_application"):
        await pieced.models(select="path:models/ods")
        await pieced.models(select="path:models/dw", status=1)
        await pieced.models(select="path:models/dm path:models/ap path:seeds")
    assert await pieced.checksums("dm") != await built.checksums("dm")

    # Behind the whole of it the same facts are built again, and then have everything.
    await pieced.models(select="path:models/dw")
    await pieced.models(select="path:models/dm path:models/ap path:seeds")

    assert await pieced.checksums("dm", "ap") == await built.checksums("dm", "ap")


async def test_rows_that_failed_a_test_are_tested_again_until_they_pass(
    copied: Warehouse, changes: Sequence[Change]
) -> None:
    tests = ("path:models/ods,resource_type:model", "credit_loan,resource_type:test")
    # A row that the model could not have made: its key is missing.
    again = next(values for table, values in changes if table == "loan")
    batch = await copied.land([("loan", (10**9, *again[1:]))])
    await copied.models(select="credit_loan")
    async with copied.database.connect() as owner:
        await owner.execute("UPDATE ods.credit_loan SET id = NULL WHERE batch_id = $1", batch)
    for _ in range(2):
        failed = await copied.build(" ".join(tests), status=1)
        assert "fail" in failed.result["states"]
        assert failed.result["batch_id"] == batch  # what this build has to answer for

    async with copied.database.connect() as owner:
        await owner.execute("UPDATE ods.credit_loan SET id = 'mended' WHERE batch_id = $1", batch)
    await copied.build(" ".join(tests))
    # Now, and not before, they count as tested.
    (row,) = await copied.rows("SELECT tested, done FROM build.watermark WHERE model = 'credit_loan'")
    assert (row["tested"], row["done"]) == (batch, batch)
    passed = await copied.build(" ".join(tests))
    assert passed.result["batch_id"] is None

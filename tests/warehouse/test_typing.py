"""What does not fit its type is neither cut nor rounded: the build names table, column and position, no value."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.warehouse.conftest import Change, Warehouse

pytestmark = pytest.mark.timeout(600)

IMAGE = 4
MISFITS = (
    ("party", "full_name", "Q" * 201, "varchar(200)"),
    ("party", "kind", "partnership-of-many-x", "varchar(16)"),
    ("party", "birth_date", "1971-03-04T05:06:07", "date"),
    ("party", "created_at", "2026-01-01T00:00:00+07:00", "timestamp"),
    ("party", "created_at", "2026-01-01T00:00:00.1234567", "timestamp"),
    ("party", "revision", "31337.25", "integer"),
    ("loan", "principal", "31337.00001", "numeric(19, 4)"),
    ("loan", "interest_rate", "0.3133777", "numeric(9, 6)"),
    ("loan", "restructured", "perhaps-so", "true or false"),
)


async def test_a_value_that_does_not_fit_ends_the_build_unseen(
    pieced: Warehouse, changes: Sequence[Change]
) -> None:
    first = await pieced.land(changes)
    both = "credit_party credit_loan"
    await pieced.models(select=both)
    state = "SELECT model, done FROM ods.watermark ORDER BY model"
    before = await pieced.checksums("ods"), await pieced.rows(state)
    last = {table: values for table, values in changes if values[IMAGE] is not None}

    for position, (table, column, value, type_) in enumerate(MISFITS, 10**9):
        row = list(last[table])
        row[0], row[IMAGE] = position, json.dumps(json.loads(row[IMAGE]) | {column: value})
        await pieced.land([(table, tuple(row))])
        failed = await pieced.models(select=f"credit_{table}", status=1)
        assert (
            f"dl.credit_{table}: {column} of the change at position {position}.0 does not fit {type_}"
            in failed.output
        )
        logs = "".join(path.read_text() for path in pieced.folder.rglob("*.log"))
        results = "".join(path.read_text() for path in pieced.folder.rglob("run_results.json"))
        assert value not in failed.output + logs + results
        assert (await pieced.checksums("ods"), await pieced.rows(state)) == before
        async with pieced.database.connect() as owner:
            await owner.execute(f"DELETE FROM dl.credit_{table} WHERE position_major = $1", position)

    # What is no JSON at all is not read, so that no error shows a piece of it.
    row = list(last["party"])
    row[0], row[IMAGE] = 10**9, row[IMAGE][:-1] + ', "email": Q31337@example.org}'
    await pieced.land([("party", tuple(row))])
    failed = await pieced.models(select="credit_party", status=1)
    assert f"dl.credit_party: image of the change at position {10**9}.0 does not fit JSON" in failed.output
    logs = "".join(path.read_text() for path in pieced.folder.rglob("*.log"))
    assert "Q31337" not in failed.output + logs
    async with pieced.database.connect() as owner:
        await owner.execute("DELETE FROM dl.credit_party WHERE position_major = $1", 10**9)

    # As large as it may be, it is taken as it is.
    row = list(last["party"])
    row[0], row[IMAGE] = 10**9, json.dumps(json.loads(row[IMAGE]) | {"full_name": "Q" * 200})
    batch = await pieced.land([("party", tuple(row))])
    await pieced.models(select=both)
    taken = await pieced.rows("SELECT full_name, batch_id FROM ods.credit_party WHERE batch_id > $1", first)
    assert taken == [{"full_name": "Q" * 200, "batch_id": batch}]

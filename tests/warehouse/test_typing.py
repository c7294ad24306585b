"""What fits its type is taken as it is, to the last digit; what does not is set aside: test_set_aside.py."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.warehouse.conftest import Change, Warehouse

pytestmark = pytest.mark.timeout(600)

IMAGE = 4
FITS = (
    ("party", "full_name", "Q" * 200, "Q" * 200),
    ("party", "full_name", "Trần Đình Trọng \U0001f600", "Trần Đình Trọng \U0001f600"),
    ("party", "email", "", ""),
    ("party", "birth_date", "1800-01-01", "1800-01-01"),
    ("party", "birth_date", "2199-12-31", "2199-12-31"),
    ("party", "created_at", "2026-01-01T00:00:00.123456", "2026-01-01 00:00:00.123456"),
    ("party", "created_at", "2026-01-01T00:00:00.1234560", "2026-01-01 00:00:00.123456"),
    ("party", "revision", "2147483647", "2147483647"),
    ("loan", "principal", "999999999999999.9999", "999999999999999.9999"),
    ("loan", "principal", "0.00010", "0.0001"),
    ("loan", "interest_rate", "10.000000", "10.000000"),
    ("loan", "restructured", "true", "1"),
    ("loan", "term_months", "600", "600"),
)


async def test_a_value_as_large_as_its_type_is_taken_as_it_is(
    pieced: Warehouse, changes: Sequence[Change]
) -> None:
    await pieced.land(changes)
    last = {table: values for table, values in changes if values[IMAGE] is not None}
    landed = []
    for position, (table, column, value, _) in enumerate(FITS, 10**9):
        row = list(last[table])
        row[0], row[IMAGE] = position, json.dumps(json.loads(row[IMAGE]) | {column: value})
        landed.append((table, tuple(row)))
    await pieced.land(landed)
    await pieced.models(select="credit_party credit_loan")
    assert await pieced.rows("SELECT * FROM ods.quarantine") == []
    for position, (table, column, _, typed) in enumerate(FITS, 10**9):
        (row,) = await pieced.rows(
            f"SELECT {column}::text AS found FROM ods.credit_{table} WHERE position_major = $1", position
        )
        assert row["found"] == typed, (table, column)

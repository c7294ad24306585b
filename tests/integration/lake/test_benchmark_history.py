"""The history that `make bench-warehouse` makes has the columns that the lake's tables have."""

from __future__ import annotations

from tests.benchmarks.history import NEW_LATELY, PAID_LATE, PAID_LATELY, STEPS, write_history
from tests.conftest import Database


async def test_the_history_of_the_benchmarks_fits_the_lake(fresh_lake: Database) -> None:
    async with fresh_lake.connect() as connection:
        for steps in (STEPS, PAID_LATE, PAID_LATELY):
            assert await write_history(connection, 1, 100, steps=steps) > 0
        assert await write_history(connection, 101, 200, steps=NEW_LATELY) > 0

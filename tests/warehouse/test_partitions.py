"""What an incremental build writes: the partitions in which something changed, and what a full refresh would write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import pytest

from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import AS_OF, identifier

# The first build makes the whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

Snapshot = tuple[str, date]
SNAPSHOTS = {
    "dm.fact_loan_month": "snapshot_kind, snapshot_date",
    "ap.concentration": "grain, as_of_date",
    "ap.exposure_by_term": "grain, as_of_date",
    "ap.kpi_portfolio": "grain, as_of_date",
    "ap.roll_rate": "grain, as_of_date",
}
TODAY: Snapshot = ("as_of", AS_OF)
POSITION, OPERATION, KEY, IMAGE, CAPTURED = 0, 2, 3, 4, 8


def later(changes: Sequence[Change], table: str, position: int, **members: Any) -> Change:
    """The last change of a table once more, at another position, with other members in its image."""
    values = list(next(values for name, values in reversed(changes) if name == table and values[IMAGE]))
    values[POSITION], values[CAPTURED] = position, datetime.combine(AS_OF, time(7))
    image = json.loads(values[IMAGE]) | members
    values[IMAGE] = json.dumps(image)
    keys = ("product_code", "valid_from") if table == "product_parameters" else ("id",)
    values[KEY] = json.dumps([str(image[name]) for name in keys])
    return table, tuple(values)


def payment(changes: Sequence[Change], position: int, day: date, name: str = "late") -> Change:
    """A payment of 7 on a day, of a loan that is behind."""
    return later(
        changes,
        "loan_transaction",
        position,
        id=str(identifier(f"transaction {name}")),
        loan_id=str(identifier("loan dpd 91")),
        kind="payment",
        amount="7.0000",
        currency="DEM",
        effective_on=day.isoformat(),
        reverses=None,
    )


def disbursement(changes: Sequence[Change], position: int, *, deleted: bool) -> Change:
    """The disbursement of a loan that is behind once more, or that it is gone."""
    key = json.dumps([str(identifier("transaction dpd 91 disbursement"))])
    values = list(
        next(values for name, values in changes if name == "loan_transaction" and values[KEY] == key)
    )
    values[POSITION], values[CAPTURED] = position, datetime.combine(AS_OF, time(8))
    if deleted:
        values[OPERATION], values[IMAGE] = "d", None
    return "loan_transaction", tuple(values)


async def built_again(warehouse: Warehouse, *more: str) -> dict[str, set[Snapshot]]:
    """Build, and give the snapshots of which each table has rows that were written by this build."""
    (before,) = await warehouse.rows("SELECT pg_current_xact_id()::text::bigint AS id")
    await warehouse.models(*more)
    return {
        table: {
            (row["kind"], row["day"])
            for row in await warehouse.rows(
                f"SELECT DISTINCT s.kind, s.day FROM (SELECT {columns}, xmin FROM {table}) AS s (kind, day, written) "
                "WHERE s.written::text::bigint >= $1",
                before["id"],
            )
        }
        for table, columns in SNAPSHOTS.items()
    }


async def test_a_build_writes_the_snapshots_that_changed(
    copied: Warehouse, changes: Sequence[Change]
) -> None:
    position = 10**6
    everything = await copied.rows("SELECT DISTINCT snapshot_kind, snapshot_date FROM dm.fact_loan_month")
    assert len(everything) > 20

    # What is paid today is in no month end. Only the loan that it is of is written.
    await copied.land([payment(changes, position, AS_OF, "today")])
    (before,) = await copied.rows("SELECT pg_current_xact_id()::text::bigint AS id")
    written = await built_again(copied)
    assert written == {table: {TODAY} for table in SNAPSHOTS}
    (rows,) = await copied.rows(
        "SELECT count(*), count(DISTINCT loan_id) AS loans FROM dm.fact_loan_month WHERE xmin::text::bigint >= $1",
        before["id"],
    )
    assert (rows["count"], rows["loans"]) == (1, 1)

    # What comes late is in the month ends from its day on. A roll rate also depends on the month end before.
    await copied.land([payment(changes, position + 1, date(2026, 7, 31))])
    written = await built_again(copied)
    changed = {TODAY, ("month_end", date(2026, 7, 31)), ("month_end", date(2026, 8, 31))}
    assert written == dict.fromkeys(SNAPSHOTS, changed)

    # It is of a later day after all: of August it says what it said.
    july = ("month_end", date(2026, 7, 31))
    await copied.land([payment(changes, position + 2, date(2026, 8, 31))])
    written = await built_again(copied)
    assert written.pop("ap.roll_rate") == {july, ("month_end", date(2026, 8, 31))}
    assert set(map(frozenset, written.values())) == {frozenset({july})}
    late = await copied.checksums("dm", "ap")

    # Without its disbursement a loan is in no snapshot; only what is summed over the others is written.
    snapshots = {
        (row["snapshot_kind"], row["snapshot_date"])
        for row in await copied.rows(
            "SELECT snapshot_kind, snapshot_date FROM dm.fact_loan_month WHERE loan_id = $1",
            str(identifier("loan dpd 91")),
        )
    }
    assert snapshots > changed
    await copied.land([disbursement(changes, position + 3, deleted=True)])
    written = await built_again(copied)
    assert written == dict.fromkeys(SNAPSHOTS, snapshots) | {"dm.fact_loan_month": set()}
    assert await copied.checksums("dm", "ap") != late

    # With it everything is as it was.
    await copied.land([disbursement(changes, position + 4, deleted=False)])
    assert await built_again(copied) == dict.fromkeys(SNAPSHOTS, snapshots)
    assert await copied.checksums("dm", "ap") == late

    assert await built_again(copied) == {table: set() for table in SNAPSHOTS}
    assert await copied.checksums("dm", "ap") == late
    await copied.models("--full-refresh")
    assert await copied.checksums("dm", "ap") == late


async def test_parameters_from_today_on_and_a_day_that_passes(
    copied: Warehouse, changes: Sequence[Change]
) -> None:
    # Twice between two builds.
    await copied.land(
        [
            later(
                changes,
                "product_parameters",
                position,
                valid_from=AS_OF.isoformat(),
                probability_of_default=probability,
                credit_conversion_factor="1.000000",
            )
            for position, probability in ((10**6, "0.400000"), (10**6 + 1, "0.500000"))
        ]
    )
    # The product's risk is another from that day on, for loans of before as well.
    written = await built_again(copied)
    assert written["ap.exposure_by_term"] == {TODAY}
    assert await as_if_built_whole(copied)

    # A month ends meanwhile; nothing else is made.
    days = ("--vars", "{as_of_date: 2026-10-02}")
    written = await built_again(copied, *days)
    new = {("as_of", date(2026, 10, 2)), ("month_end", date(2026, 9, 30))}
    assert written == dict.fromkeys(SNAPSHOTS, new)
    assert await as_if_built_whole(copied, *days)

    # And back.
    await copied.models()
    assert await as_if_built_whole(copied)


async def as_if_built_whole(warehouse: Warehouse, *more: str) -> bool:
    """Whether a full refresh changes nothing."""
    found = await warehouse.checksums("dm", "ap")
    await warehouse.models("--full-refresh", *more)
    return found == await warehouse.checksums("dm", "ap")

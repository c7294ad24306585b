"""What was so on which day: by the order of the journal, over many days, and when clocks run backwards."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from services.chassis.hashing import hash_of
from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import at

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

BEGINNING = at(date(2026, 1, 1), 6)
# When each later change was captured, in the order of the journal. The second and the fifth writer's clocks are behind.
LATER = (
    at(date(2026, 3, 10), 9),
    at(date(2026, 2, 2), 9),
    at(date(2026, 5, 31), 23, 59),
    at(date(2026, 8, 1), 0, 1),
    at(date(2026, 6, 30), 12),
    at(date(2026, 9, 15), 5),
)
CHANGED = {"loan": ("id", "restructured"), "product": ("code", "name")}
POSITION, OPERATION, KEY, IMAGE, CAPTURED = 0, 2, 3, 4, 8


def over_months(changes: Sequence[Change]) -> list[Change]:
    """The changes as of New Year, and later ones of every loan and product on the days of LATER."""
    found = [(table, (*values[:CAPTURED], BEGINNING)) for table, values in changes]
    last: dict[tuple[str, str], tuple[Any, ...]] = {}
    for table, values in found:
        if table in CHANGED and values[OPERATION] != "d":
            last[table, values[KEY]] = values
    position = max(values[POSITION] for _, values in found)
    for number, moment in enumerate(LATER):
        for (table, _), values in last.items():
            position += 1
            _, member = CHANGED[table]
            image = json.loads(values[IMAGE]) | {
                member: bool(number % 2) if table == "loan" else f"name {number}"
            }
            row = list(values)
            row[POSITION], row[OPERATION], row[IMAGE], row[CAPTURED] = (
                position,
                "u",
                json.dumps(image),
                moment,
            )
            found.append((table, tuple(row)))
    return found


def holding(versions: Sequence[tuple[int, date]], day: date) -> int:
    """The position of the last version that no later day than `day` was known by; else of the first."""
    position, known = versions[0][0], date.min
    for candidate, captured in versions:
        known = max(known, captured)
        if known <= day:
            position = candidate
    return position


async def test_every_day_has_the_version_that_the_journal_had_by_then(
    pieced: Warehouse, changes: Sequence[Change]
) -> None:
    moved = over_months(changes)
    await pieced.land(moved)
    await pieced.models(select="path:models/ods path:models/dw")

    for entity in ("loan", "product", "application", "party"):
        rows = await pieced.rows(
            f"SELECT {entity}_hk AS hk, valid_from, valid_to FROM dw.{entity}_history "
            "ORDER BY hk, position_major, position_minor"
        )
        by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_key[row["hk"]].append(row)
        for versions in by_key.values():
            assert versions[0]["valid_from"] == at(date(1900, 1, 1), 0)
            assert versions[-1]["valid_to"] == at(date(9999, 12, 31), 0)
            assert all(one["valid_from"] <= one["valid_to"] for one in versions)
            # Neither gap nor overlap.
            assert [one["valid_to"] for one in versions[:-1]] == [one["valid_from"] for one in versions[1:]]

    known: dict[str, list[tuple[int, date]]] = defaultdict(list)
    for table, values in moved:
        if table in CHANGED:
            known[hash_of(json.loads(values[KEY])[0])].append((values[POSITION], values[CAPTURED].date()))
    points = await pieced.rows("SELECT * FROM dw.pit_loan")
    assert {
        (point["loan_hk"], point["snapshot_date"]): (
            point["loan_position_major"],
            point["product_position_major"],
        )
        for point in points
    } == {
        (point["loan_hk"], point["snapshot_date"]): (
            holding(known[point["loan_hk"]], point["snapshot_date"]),
            holding(known[point["product_hk"]], point["snapshot_date"]),
        )
        for point in points
    }
    # One row a loan and day, and over the months most of the versions.
    assert len(
        {(point["loan_hk"], point["snapshot_date"], point["snapshot_kind"]) for point in points}
    ) == len(points)
    assert len({point["loan_position_major"] for point in points}) > 3 * len(
        {point["loan_hk"] for point in points}
    )

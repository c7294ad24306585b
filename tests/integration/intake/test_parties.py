"""Products that are offered, and parties that are put on record and changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.lending import Lending, User, assert_problem, rows_of


async def test_products_are_listed(lending: Lending) -> None:
    products = (await lending.intake.get("/products", headers=lending.user("maker").headers)).json()
    assert {product["code"] for product in products} >= {"CONSUMER", "CAR"}


async def test_a_product_is_offered_at_the_rate_of_today(lending: Lending) -> None:
    maker, day = lending.user("maker"), datetime.now(UTC).date()
    async with lending.lake.connect() as connection:
        await connection.execute(
            "INSERT INTO credit.product SELECT 'DATED', name, currency, min_amount, max_amount, min_term_months, "
            "max_term_months FROM credit.product WHERE code = 'CAR'"
        )
        told = (
            "INSERT INTO credit.product_parameters SELECT 'DATED', $1, $2, 0, 0, 0, created_at "
            "FROM credit.product_parameters WHERE product_code = 'CAR'"
        )
        await connection.execute(told, day + timedelta(days=1), Decimal("0.3"))
        # Not before its first day.
        assert "DATED" not in await offered(lending, maker)
        content = await lending.content(maker, product_code="DATED")
        assert_problem(await lending.post(maker, content), 422, "/body/product_code")
        await connection.execute(told, day - timedelta(days=9), Decimal("0.1"))
        await connection.execute(told, day, Decimal("0.2"))
    assert (await offered(lending, maker))["DATED"] == "0.200000"
    assert (await lending.post(maker, content)).status_code == 201


async def offered(lending: Lending, maker: User) -> dict[str, str]:
    """Interest rates by product."""
    products = (await lending.intake.get("/products", headers=maker.headers)).json()
    return {product["code"]: product["interest_rate"] for product in products}


async def test_a_party_is_put_on_record_and_changed(lending: Lending) -> None:
    maker = lending.user("maker")
    body = {"kind": "person", "full_name": "  Trần Thị Bình ", "email": "binh@example.com"}
    created = await lending.intake.post("/parties", json=body, headers=maker.creating())
    assert (created.status_code, created.headers["ETag"], created.json()["full_name"]) == (
        201,
        '"1"',
        "Trần Thị Bình",
    )
    path = created.headers["Location"]
    assert_problem(
        await lending.intake.patch(path, json={"phone": "+84 24 3825 2916"}, headers=maker.headers), 428
    )
    headers = {**maker.headers, "If-Match": '"1"'}
    changed = await lending.intake.patch(
        path, json={"email": None, "phone": "+84 24 3825 2916"}, headers=headers
    )
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    recorded = created.json()
    assert recorded.pop("possible_duplicates") == []
    expected = {**recorded, "email": None, "phone": "+842438252916", "revision": 2}
    assert changed.json() == expected
    assert_problem(await lending.intake.patch(path, json={"phone": "+84 24 3825 2916"}, headers=headers), 412)
    assert (await lending.intake.get(path, headers=maker.headers)).json() == expected


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "robot", "full_name": "x"}, "/body/kind"),
        ({"kind": "person"}, "/body/full_name"),
        ({"kind": "person", "full_name": " "}, "/body/full_name"),
        ({"kind": "person", "full_name": "a\u0000"}, "/body/full_name"),
        ({"kind": "person", "full_name": "x", "email": "nobody"}, "/body/email"),
        ({"kind": "person", "full_name": "x", "birth_date": "2999-01-01"}, "/body/birth_date"),
        ({"kind": "organisation", "full_name": "x", "birth_date": "1999-01-01"}, "/body/birth_date"),
    ],
)
async def test_bad_parties_are_refused(lending: Lending, body: dict[str, Any], pointer: str) -> None:
    before = await rows_of(lending)
    headers = {**lending.user("maker").creating(), "Content-Type": "application/json"}
    # Written by json itself: httpx cannot send a lone surrogate, other clients can.
    response = await lending.intake.post("/parties", content=json.dumps(body), headers=headers)
    assert_problem(response, 422, pointer)
    assert await rows_of(lending) == before

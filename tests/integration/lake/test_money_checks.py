"""Money in the database: amounts have the decimals of their currency, and rows from before block nothing."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from services.lake.tables import MONEY_CHECKS
from tests.conftest import Database

PRODUCT = (
    "INSERT INTO credit.product (code, name, currency, min_amount, max_amount, min_term_months, max_term_months) "
    "VALUES ($1, 'A product', $2, $3, $4, 1, 12)"
)
PARAMETERS = (
    "INSERT INTO credit.product_parameters (product_code, valid_from, interest_rate, probability_of_default, "
    "loss_given_default, credit_conversion_factor, created_at) "
    "VALUES ('CAR', '2026-01-01', $1, $2, 0, 0, now() AT TIME ZONE 'UTC')"
)


def values(**changes: Any) -> tuple[Any, ...]:
    """A product of a currency of two decimals."""
    default = {"currency": "EUR", "min": "1.00", "max": "10.00"}
    made = {**default, **changes}
    decimals = (Decimal(made[name]) for name in ("min", "max"))
    return (uuid.uuid4().hex[:8].upper(), made["currency"], *decimals)


@pytest.mark.parametrize(
    "changes",
    [
        {"min": "0.0001"},
        {"max": "9.999"},
        {"currency": "JPY", "max": "10.50"},
        {"currency": "KWD", "max": "10.0001"},
        {"currency": "XXX"},
        {"currency": "XAU"},
        {"currency": "eur"},
        {"currency": "AAA"},
    ],
)
async def test_a_row_with_impossible_money_is_refused(lake: Database, changes: dict[str, str]) -> None:
    async with lake.connect() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(PRODUCT, *values(**changes))


@pytest.mark.parametrize(
    ("rate", "share"), [("-0.01", "0.1"), ("11", "0.1"), ("0.1", "1.000001"), ("0.1", "-0.1")]
)
async def test_impossible_parameters_are_refused(lake: Database, rate: str, share: str) -> None:
    async with lake.connect() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(PARAMETERS, Decimal(rate), Decimal(share))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"currency": "DEM"},
        {"currency": "JPY", "min": "1", "max": "10"},
        {"currency": "KWD", "min": "0.001", "max": "10.999"},
        {"currency": "CLF", "min": "0.0001"},
        {"max": "999999999999999.99"},
    ],
)
async def test_money_of_a_currency_is_written(lake: Database, changes: dict[str, str]) -> None:
    async with lake.connect() as connection:
        await connection.execute(PRODUCT, *values(**changes))


async def test_old_rows_neither_block_the_migration_nor_what_is_written_beside_them(
    fresh_lake: Database,
) -> None:
    async with fresh_lake.connect() as connection:
        names = [(table, f"ck_{table}_{name}") for table, checks in MONEY_CHECKS.items() for name in checks]
        kept = {
            name: await connection.fetchval(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", name
            )
            for _, name in names
        }
        # Added without a look at what is there.
        assert all(text.endswith("NOT VALID") for text in kept.values()), kept
        for table, name in names:
            await connection.execute(f"ALTER TABLE credit.{table} DROP CONSTRAINT {name}")
        old = values(min="0.0001", currency="XXX")
        await connection.execute(PRODUCT, *old)
        for table, name in names:
            await connection.execute(f"ALTER TABLE credit.{table} ADD CONSTRAINT {name} {kept[name]}")
        await connection.execute(PRODUCT, *values())
        # Written again it is checked.
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE credit.product SET name = 'Another' WHERE code = $1", old[0])


async def test_a_reversal_may_have_the_decimals_of_what_it_undoes(fresh_lake: Database) -> None:
    insert = (
        "INSERT INTO credit.loan_transaction "
        "(id, loan_id, kind, amount, currency, effective_on, reverses, recorded_by, recorded_at) "
        "VALUES ($1, $2, $3, 0.0001, 'DEM', $4, $5, $2, $6)"
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    loan, payment = uuid.uuid4(), uuid.uuid4()
    async with fresh_lake.connect() as connection:
        # Its loan does not matter here.
        await connection.execute(
            "ALTER TABLE credit.loan_transaction DROP CONSTRAINT fk_loan_transaction_loan_id"
        )
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(insert, payment, loan, "payment", now.date(), None, now)
        for constraint in ("fk_loan_transaction_reverses", "ck_loan_transaction_second_person"):
            await connection.execute(f"ALTER TABLE credit.loan_transaction DROP CONSTRAINT {constraint}")
        await connection.execute(insert, uuid.uuid4(), loan, "reversal", now.date(), payment, now)

"""Reference data of every new installation: products, approval bands and bands of proposals.

Rates and risk parameters are synthetic: plausible for consumer lending, measured on nobody. The currency is
the one of the sample applications, Deutsche Mark (ISO 4217 DEM, withdrawn in 2002).
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from services.lake.tables import approval_band, product, product_parameters, servicing_band

CURRENCY = "DEM"
ALWAYS = date(1900, 1, 1)
"""The first day of the parameters; earlier than every loan."""

PRODUCTS: list[dict[str, Any]] = [
    {
        "code": code,
        "name": name,
        "currency": CURRENCY,
        "min_amount": Decimal(100),
        "max_amount": Decimal(25_000),
        "min_term_months": 3,
        "max_term_months": 84,
    }
    for code, name in (
        ("CONSUMER", "Consumer loan"),
        ("CAR", "Car loan"),
        ("BUSINESS", "Small business loan"),
        ("EDUCATION", "Education loan"),
    )
]

PARAMETERS: list[dict[str, Any]] = [
    {
        "product_code": code,
        "valid_from": ALWAYS,
        "interest_rate": Decimal(interest_rate),
        "probability_of_default": Decimal(default),
        "loss_given_default": Decimal(loss),
        "credit_conversion_factor": Decimal(0),
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    for code, interest_rate, default, loss in (
        ("CONSUMER", "0.0890", "0.040", "0.45"),
        ("CAR", "0.0690", "0.030", "0.30"),
        ("BUSINESS", "0.0990", "0.055", "0.50"),
        ("EDUCATION", "0.0490", "0.035", "0.45"),
    )
]

BANDS: list[dict[str, Any]] = [
    {
        "band": band,
        "stage_order": order,
        "stage": stage,
        "currency": CURRENCY,
        "amount_from": Decimal(amount_from),
        "amount_below": None if amount_below is None else Decimal(amount_below),
    }
    for band, amount_from, amount_below, stages in (
        ("small", 0, 4_000, ("officer",)),
        ("medium", 4_000, 10_000, ("officer", "senior_officer")),
        ("large", 10_000, None, ("officer", "senior_officer", "committee")),
    )
    for order, stage in enumerate(stages, start=1)
]


SERVICING_BANDS: list[dict[str, Any]] = [
    {
        "band": f"{kind}-{size}",
        "role": role,
        "kind": kind,
        "currency": CURRENCY,
        "amount_from": Decimal(amount_from),
        "amount_below": None if amount_below is None else Decimal(amount_below),
    }
    for kind, size, amount_from, amount_below, roles in (
        # Recoveries and reversals: another person of servicing confirms; above the limit, a role that decides on loans.
        ("recovery", "small", 0, 4_000, ("servicing", "senior_officer", "committee")),
        ("recovery", "large", 4_000, None, ("senior_officer", "committee")),
        ("reversal", "small", 0, 4_000, ("servicing", "senior_officer", "committee")),
        ("reversal", "large", 4_000, None, ("senior_officer", "committee")),
        ("disbursement", "small", 0, 4_000, ("senior_officer", "committee")),
        ("disbursement", "large", 4_000, None, ("committee",)),
        ("write-off", "small", 0, 4_000, ("senior_officer", "committee")),
        ("write-off", "large", 4_000, None, ("committee",)),
        ("classification", "small", 0, 10_000, ("senior_officer", "committee")),
        ("classification", "large", 10_000, None, ("committee",)),
    )
    for role in roles
]


def missing_rows(
    present_products: set[str],
    present_bands: set[tuple[str, int]],
    present_servicing_bands: set[tuple[str, str]],
) -> list[sa.Insert]:
    """Give the inserts of missing rows; rows that an operator changed stay as they are.

    Parameters are inserted only with their product: those of an existing product belong to the operator.
    """
    products = [row for row in PRODUCTS if row["code"] not in present_products]
    parameters = [row for row in PARAMETERS if row["product_code"] not in present_products]
    bands = [row for row in BANDS if (row["band"], row["stage_order"]) not in present_bands]
    servicing = [row for row in SERVICING_BANDS if (row["band"], row["role"]) not in present_servicing_bands]
    return [
        sa.insert(table).values(row)
        for table, rows in (
            (product, products),
            (product_parameters, parameters),
            (approval_band, bands),
            (servicing_band, servicing),
        )
        for row in rows
    ]

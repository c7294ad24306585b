"""A product's rate and risk parameters on a day."""

from datetime import date

import sqlalchemy as sa

from services.lake.tables import product_parameters


def parameters_on(day: date) -> sa.Subquery:
    """Give the parameters of every product that are valid on `day`: for each product the latest row.

    A product whose first row begins later is left out. Days are business days: for today, use the current day of the
    business's calendar.
    """
    latest = (
        sa.select(
            product_parameters.c.product_code, sa.func.max(product_parameters.c.valid_from).label("since")
        )
        .where(product_parameters.c.valid_from <= day)
        .group_by(product_parameters.c.product_code)
        .subquery("latest")
    )
    return (
        sa.select(product_parameters)
        .join(
            latest,
            sa.and_(
                latest.c.product_code == product_parameters.c.product_code,
                latest.c.since == product_parameters.c.valid_from,
            ),
        )
        .subquery("parameters")
    )

"""The approval bands that count at an instant."""

from datetime import datetime

import sqlalchemy as sa

from services.lake.tables import approval_band


def counting(
    at: sa.ColumnElement[datetime] | datetime, of: sa.FromClause = approval_band
) -> sa.ColumnElement[bool]:
    """The condition on `of`, the table of bands or an alias of it, that a band counts for what is submitted `at`."""
    return sa.and_(
        sa.or_(of.c.counts_from.is_(None), of.c.counts_from <= at),
        sa.or_(of.c.counts_until.is_(None), of.c.counts_until > at),
    )

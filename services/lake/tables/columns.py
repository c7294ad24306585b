"""Shared parts of the lake's tables: names of constraints, kinds of columns, checks on money."""

from typing import Any

import sqlalchemy as sa

from services.lake.domain.money import currency_condition, minor_unit_condition
from services.lake.domain.states import State
from services.lake.types import code, within_long_text

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


MIGRATED = "CAST(migrated AS integer) = 1"
"""A condition for both engines: one has booleans, the other has bits."""

# A rate above 1,000 % a year is a mistake in the unit.
INTEREST_RATE_CHECK = "interest_rate >= 0 AND interest_rate <= 10"
SHARES_CHECK = " AND ".join(
    f"{share} >= 0 AND {share} <= 1"
    for share in ("probability_of_default", "loss_given_default", "credit_conversion_factor")
)

MONEY_CHECKS: dict[str, dict[str, str]] = {
    "product": {
        "currency": currency_condition(),
        "min_minor_unit": minor_unit_condition("min_amount"),
        "max_minor_unit": minor_unit_condition("max_amount"),
    },
    "approval_band": {
        "currency": currency_condition(),
        "from_minor_unit": minor_unit_condition("amount_from"),
        "below_minor_unit": minor_unit_condition("amount_below"),
        "amounts": "amount_from >= 0 AND (amount_below IS NULL OR amount_below > amount_from)",
    },
    "application_version": {"currency": currency_condition(), "minor_unit": minor_unit_condition("amount")},
    "loan": {
        "currency": currency_condition(),
        "minor_unit": minor_unit_condition("principal"),
        "principal": "principal > 0",
        "interest_rate": INTEREST_RATE_CHECK,
    },
    "instalment": {"amounts": "principal >= 0 AND interest >= 0"},
    "loan_transaction": {
        "currency": currency_condition(),
        # A reversal has the full amount of its transaction, which may be older than this constraint.
        "minor_unit": f"kind = 'reversal' OR {minor_unit_condition('amount')}",
    },
}
"""Of each table the constraints on money, by name, in SQL that both engines take."""


def captured(name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    checks = (
        sa.CheckConstraint(condition, name=check) for check, condition in MONEY_CHECKS.get(name, {}).items()
    )
    table = sa.Table(name, metadata, *items, *checks, schema="credit", implicit_returning=False)
    for column in table.columns:
        if isinstance(column.type, sa.UnicodeText):
            table.append_constraint(sa.CheckConstraint(within_long_text(column), name=f"{column.name}_size"))
    return table


def one_of(column: str, values: type[State] | tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def own_id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def required(name: str, type_: Any, *constraints: sa.schema.SchemaItem) -> sa.Column[Any]:
    return sa.Column(name, type_, *constraints, nullable=False, autoincrement=False)


def external_ref() -> sa.Column[Any]:
    """The bank's own number of an imported row."""
    return sa.Column("external_ref", code(64))


def one_each(table: str, column: str) -> sa.Index:
    # Filtered, as a unique constraint of SQL Server takes one NULL only.
    given = sa.text(f"{column} IS NOT NULL")
    return sa.Index(f"uq_{table}_{column}", column, unique=True, postgresql_where=given, mssql_where=given)


def migrated() -> sa.Column[Any]:
    """Whether the row was imported with a history that began elsewhere."""
    return sa.Column("migrated", sa.Boolean, nullable=False, server_default=sa.false())


def unless_migrated(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{MIGRATED} OR {column} IS NOT NULL", name=f"{column}_known")

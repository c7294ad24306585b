"""Adds imported histories: the bank's own numbers, the mark `migrated`, and values that a history may lack."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.lake.types import code, day, long_text

revision = "0006"
down_revision = "0005"

_MIGRATED = "CAST(migrated AS integer) = 1"
_REFERRED = ("party", "application", "loan")
_MARKED = ("application", "application_version", "application_event", "decision", "loan", "loan_transaction")


def upgrade() -> None:
    """Add the columns, empty for existing rows; let imported rows lack values that are unknown."""
    given = sa.text("external_ref IS NOT NULL")
    for table in _REFERRED:
        op.add_column(table, sa.Column("external_ref", code(64), nullable=True), schema="credit")
        op.create_index(
            f"uq_{table}_external_ref",
            table,
            ["external_ref"],
            unique=True,
            schema="credit",
            postgresql_where=given,
            mssql_where=given,
        )
    for table in _MARKED:
        op.add_column(
            table,
            sa.Column("migrated", sa.Boolean(), nullable=False, server_default=sa.false()),
            schema="credit",
        )
    for column, type_ in (("profile", long_text()), ("score", sa.Integer()), ("score_reasons", long_text())):
        _may_be_unknown("application_version", column, type_)
    _may_be_unknown("application_event", "actor", sa.Uuid())
    _forget_one_decider()
    _may_be_unknown("decision", "decided_by", sa.Uuid())
    _one_decider()
    op.alter_column("loan_transaction", "effective_on", existing_type=day(), nullable=True, schema="credit")
    op.create_check_constraint(
        op.f("ck_loan_transaction_effective_on_known"),
        "loan_transaction",
        f"effective_on IS NOT NULL OR ({_MIGRATED} AND kind = 'disbursement')",
        schema="credit",
    )


def _may_be_unknown(table: str, column: str, type_: sa.types.TypeEngine[Any]) -> None:
    op.alter_column(table, column, existing_type=type_, nullable=True, schema="credit")
    op.create_check_constraint(
        op.f(f"ck_{table}_{column}_known"), table, f"{_MIGRATED} OR {column} IS NOT NULL", schema="credit"
    )


def _forget_one_decider() -> None:
    # SQL Server does not alter a column that a constraint names.
    op.drop_constraint(
        "uq_decision_application_id_version_decided_by", "decision", type_="unique", schema="credit"
    )
    op.drop_constraint("ck_decision_four_eyes", "decision", type_="check", schema="credit")


def _one_decider() -> None:
    op.create_check_constraint(
        op.f("ck_decision_four_eyes"), "decision", "maker <> decided_by", schema="credit"
    )
    given = sa.text("decided_by IS NOT NULL")
    op.create_index(
        "uq_decision_application_id_version_decided_by",
        "decision",
        ["application_id", "version", "decided_by"],
        unique=True,
        schema="credit",
        postgresql_where=given,
        mssql_where=given,
    )

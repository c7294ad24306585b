"""Gives a product's rate and risk parameters a first day."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, day, rate

revision = "0010"
down_revision = "0009"

_COLUMNS = ("interest_rate", "probability_of_default", "loss_given_default", "credit_conversion_factor")
_CHECKS = {
    "interest_rate": "interest_rate >= 0 AND interest_rate <= 10",
    "shares": " AND ".join(f"{share} >= 0 AND {share} <= 1" for share in _COLUMNS[1:]),
}
_LISTED = ", ".join(_COLUMNS)
# Their first day was not recorded; until now they were valid for every day.
_FILL = """\
INSERT INTO credit.product_parameters (product_code, valid_from, {columns}, created_at)
SELECT code, '1900-01-01', {columns}, {now}
FROM credit.product"""
_RESTORE = """\
UPDATE credit.product SET {assignments}
FROM credit.product_parameters AS p
WHERE p.product_code = credit.product.code AND p.valid_from = (
    SELECT max(l.valid_from) FROM credit.product_parameters AS l WHERE l.product_code = p.product_code
)"""


def upgrade() -> None:
    """Move the parameters of every product into rows of their own, valid since 1900-01-01."""
    op.create_table(
        "product_parameters",
        sa.Column("product_code", code(32), nullable=False),
        sa.Column("valid_from", day(), nullable=False),
        *(sa.Column(name, rate(), nullable=False) for name in _COLUMNS),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_code"], ["credit.product.code"], name=op.f("fk_product_parameters_product_code")
        ),
        sa.PrimaryKeyConstraint("product_code", "valid_from", name=op.f("pk_product_parameters")),
        schema="credit",
    )
    on_sqlserver = op.get_context().dialect.name == "mssql"
    now = "SYSUTCDATETIME()" if on_sqlserver else "clock_timestamp() AT TIME ZONE 'UTC'"
    op.execute(_FILL.format(columns=_LISTED, now=now))
    # Existing rows are not checked, as in 0004: the migration succeeds whatever rows a lake has.
    before, after = ("WITH NOCHECK ", "") if on_sqlserver else ("", " NOT VALID")
    for name, condition in _CHECKS.items():
        op.execute(
            f"ALTER TABLE credit.product_parameters {before}"
            f"ADD CONSTRAINT ck_product_parameters_{name} CHECK ({condition}){after}"
        )
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_product_{name}"), "product", type_="check", schema="credit")
    for name in _COLUMNS:
        op.drop_column("product", name, schema="credit")


def downgrade() -> None:
    """Give every product its latest parameters, and drop the table; the first days are lost."""
    for name in _COLUMNS:
        op.add_column("product", sa.Column(name, rate(), nullable=True), schema="credit")
    op.execute(_RESTORE.format(assignments=", ".join(f"{name} = p.{name}" for name in _COLUMNS)))
    for name in _COLUMNS:
        op.alter_column("product", name, existing_type=rate(), nullable=False, schema="credit")
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_product_{name}"), "product", condition, schema="credit")
    op.drop_table("product_parameters", schema="credit")

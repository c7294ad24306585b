"""Money has the decimals of its currency, currencies are those of ISO 4217, rates and shares are within bounds.

Existing rows are not checked: docs/runbooks/money-with-too-many-decimals.md says how to find and correct them.
Every row that is written from now on is checked.
"""

from alembic import context, op

from services.lake.tables import INTEREST_RATE_CHECK, MONEY_CHECKS, SHARES_CHECK

revision = "0004"
down_revision = "0003"

# Until 0010 the table of products had the rate and the shares.
_CHECKS = {
    **MONEY_CHECKS,
    "product": {**MONEY_CHECKS["product"], "interest_rate": INTEREST_RATE_CHECK, "shares": SHARES_CHECK},
}


def upgrade() -> None:
    """Add the constraints without checking existing rows."""
    before, after = (
        ("WITH NOCHECK ", "") if context.get_context().dialect.name == "mssql" else ("", " NOT VALID")
    )
    for table, checks in _CHECKS.items():
        for name, condition in checks.items():
            op.execute(
                f"ALTER TABLE credit.{table} {before}ADD CONSTRAINT ck_{table}_{name} CHECK ({condition}){after}"
            )


def downgrade() -> None:
    """Drop them."""
    for table, checks in _CHECKS.items():
        for name in checks:
            op.execute(f"ALTER TABLE credit.{table} DROP CONSTRAINT ck_{table}_{name}")

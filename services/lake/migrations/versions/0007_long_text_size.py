"""Long texts are bounded, so that every row fits a record of its topic."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import within_long_text

revision = "0007"
down_revision = "0006"

COLUMNS = (
    ("application", "draft"),
    ("application_version", "profile"),
    ("application_version", "score_reasons"),
    ("bureau_report", "raw_response"),
)


def upgrade() -> None:
    """Add a CHECK to each; it fails, naming the constraint, while a row is larger."""
    for table, column in COLUMNS:
        name = op.f(f"ck_{table}_{column}_size")
        op.create_check_constraint(name, table, within_long_text(sa.column(column)), schema="credit")


def downgrade() -> None:
    """Drop them."""
    for table, column in COLUMNS:
        op.drop_constraint(op.f(f"ck_{table}_{column}_size"), table, schema="credit", type_="check")

"""Adds the claims of officers on applications."""

import sqlalchemy as sa
from alembic import context, op

from services.lake.journal.dialect import journal_dialect
from services.lake.types import UtcDateTime, text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create approval's own schema, and the table, empty."""
    op.execute(journal_dialect(context.get_context().dialect.name).create_schema("approval"))
    op.create_table(
        "claim",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("taken_from", sa.Uuid(), nullable=True),
        sa.Column("reason", text(1000), nullable=True),
        sa.CheckConstraint(
            "(taken_from IS NULL AND reason IS NULL) "
            "OR (taken_from IS NOT NULL AND reason IS NOT NULL AND taken_from <> claimed_by)",
            name=op.f("ck_claim_take_over"),
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_claim_application_id")
        ),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_claim")),
        schema="approval",
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("claim", schema="approval")
    op.execute("DROP SCHEMA approval")

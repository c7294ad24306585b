"""Adds the scans of documents."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, text

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table, empty: nothing has written documents yet."""
    op.create_table(
        "document_scan",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("state", code(16), nullable=False),
        sa.Column("scanner", code(16), nullable=False),
        sa.Column("finding", text(200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("scanned_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'clean', 'infected', 'failed')", name=op.f("ck_document_scan_state")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["credit.document.id"], name=op.f("fk_document_scan_document_id")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document_scan")),
        schema="intake",
    )
    op.create_index("ix_document_scan_next_attempt_at", "document_scan", ["next_attempt_at"], schema="intake")


def downgrade() -> None:
    """Drop it."""
    op.drop_table("document_scan", schema="intake")

"""Adds the records of Kafka that could not be written as they are."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, long_binary, long_text

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the table, empty."""
    op.create_table(
        "rejected_record",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("topic", code(249), nullable=False),
        sa.Column("partition_number", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("reference", code(64), nullable=True),
        sa.Column("problem", long_text(), nullable=False),
        sa.Column("payload", long_binary(), nullable=True),
        sa.Column("payload_bytes", sa.Integer(), nullable=True),
        sa.Column("traceparent", code(64), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('applications', 'payments')", name=op.f("ck_rejected_record_kind")),
        sa.CheckConstraint(
            "(payload IS NULL AND payload_bytes IS NULL) OR (payload IS NOT NULL AND payload_bytes IS NOT NULL)",
            name=op.f("ck_rejected_record_payload"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_record")),
        sa.UniqueConstraint(
            "topic",
            "partition_number",
            "record_offset",
            name=op.f("uq_rejected_record_topic_partition_number_record_offset"),
        ),
        schema="intake",
    )
    op.create_index(
        "ix_rejected_record_received_at", "rejected_record", ["received_at", "id"], schema="intake"
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("rejected_record", schema="intake")

"""The bookkeeping of the landing; its tables are made by the flow files, since they all have one shape."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, long_text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create batches, watermarks and the results of quality checks, and the sequence of batch ids."""
    op.execute(
        sa.schema.CreateSequence(sa.Sequence("batch_number", schema="dl", start=1, data_type=sa.BigInteger()))
    )
    op.create_table(
        "batch",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("flow", code(64), nullable=False),
        sa.Column("window_from", long_text(), nullable=True),
        sa.Column("window_to", long_text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("checksum", code(64), nullable=False),
        sa.Column("incarnation", sa.Uuid(), nullable=True),
        sa.Column("traceparent", code(55), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("loaded_at", UtcDateTime(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch")),
        sa.UniqueConstraint("flow", "batch_id", name=op.f("uq_batch_flow_batch_id")),
        schema="dl",
    )
    op.create_table(
        "batch_target",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target", code(63), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("checksum", code(64), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "target", name=op.f("pk_batch_target")),
        sa.ForeignKeyConstraint(["batch_id"], ["dl.batch.batch_id"], name=op.f("fk_batch_target_batch_id")),
        schema="dl",
    )
    op.create_table(
        "watermark",
        sa.Column("flow", code(64), nullable=False),
        sa.Column("position", long_text(), nullable=True),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("moved_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("flow", name=op.f("pk_watermark")),
        sa.ForeignKeyConstraint(["batch_id"], ["dl.batch.batch_id"], name=op.f("fk_watermark_batch_id")),
        schema="dl",
    )
    op.create_table(
        "quality_result",
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("flow", code(64), nullable=False),
        sa.Column("target", code(63), nullable=False),
        sa.Column("column_name", code(63), nullable=True),
        sa.Column("expectation", code(128), nullable=False),
        sa.Column("severity", code(16), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("checked_count", sa.BigInteger(), nullable=True),
        sa.Column("failed_count", sa.BigInteger(), nullable=True),
        sa.Column("details", long_text(), nullable=True),
        sa.Column("through_batch_id", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_quality_result")),
        schema="dl",
    )
    op.create_index(
        "ix_quality_result_flow_checked_at",
        "quality_result",
        ["flow", "checked_at"],
        unique=False,
        schema="dl",
    )


def downgrade() -> None:
    """Refuse: the first revision has nothing before it."""
    raise NotImplementedError("drop the database instead")

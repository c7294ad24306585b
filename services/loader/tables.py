"""The bookkeeping of the landing, as the loader reads and writes it; the migrations make it."""

import sqlalchemy as sa

from services.lake.types import UtcDateTime, code, long_text

metadata = sa.MetaData()

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("batch_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("flow", code(64), nullable=False),
    # NULL: from the very beginning.
    sa.Column("window_from", long_text()),
    sa.Column("window_to", long_text(), nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("checksum", code(64), nullable=False),
    sa.Column("incarnation", sa.Uuid),
    sa.Column("traceparent", code(55)),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("loaded_at", UtcDateTime, nullable=False),
    sa.Column("replaces", sa.BigInteger),
    sa.UniqueConstraint("flow", "batch_id", name="uq_batch_flow_batch_id"),
    schema="dl",
    implicit_returning=False,
)
"""One loaded window; never changed. A replay is another row, which names the one whose rows it has replaced."""

batch_target = sa.Table(
    "batch_target",
    metadata,
    sa.Column(
        "batch_id",
        sa.BigInteger,
        sa.ForeignKey("dl.batch.batch_id", name="fk_batch_target_batch_id"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("target", code(63), primary_key=True),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("checksum", code(64), nullable=False),
    schema="dl",
    implicit_returning=False,
)
"""What of a batch went into which landing table; the checksum is SHA-256 of its lines, each with a newline."""

watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("flow", code(64), primary_key=True),
    sa.Column("position", long_text()),
    sa.Column("batch_id", sa.BigInteger, sa.ForeignKey("dl.batch.batch_id", name="fk_watermark_batch_id")),
    sa.Column("moved_at", UtcDateTime),
    # When it was last found that nothing more was there, or was loaded: what is idle is not stale.
    sa.Column("checked_at", UtcDateTime),
    schema="dl",
    implicit_returning=False,
)
"""How far each flow is. Whoever loads the flow holds its row locked until the load is committed."""

quality_result = sa.Table(
    "quality_result",
    metadata,
    sa.Column("result_id", sa.Uuid, primary_key=True),
    sa.Column("run_id", sa.Uuid, nullable=False),
    sa.Column("flow", code(64), nullable=False),
    sa.Column("target", code(63), nullable=False),
    sa.Column("column_name", code(63)),
    sa.Column("expectation", code(128), nullable=False),
    sa.Column("severity", code(16), nullable=False),
    sa.Column("success", sa.Boolean, nullable=False),
    sa.Column("checked_count", sa.BigInteger),
    sa.Column("failed_count", sa.BigInteger),
    sa.Column("details", long_text()),
    sa.Column("through_batch_id", sa.BigInteger),
    sa.Column("checked_at", UtcDateTime, nullable=False),
    sa.Index("ix_quality_result_flow_checked_at", "flow", "checked_at"),
    schema="dl",
    implicit_returning=False,
)
"""One expectation of one run of a flow's quality checks."""

quarantine = sa.table(
    "quarantine",
    *(
        sa.column(name)
        for name in (
            "table_name",
            "position_major",
            "position_minor",
            "batch_id",
            "operation",
            "row_key",
            "column_name",
            "broken_rule",
            "masked_value",
            "set_aside_at",
            "resolved_at",
        )
    ),
    schema="ods",
)
"""Changes that dbt has set aside, as it makes the table (dbt/macros/set_aside.sql); `resolved_at` NULL: still so."""

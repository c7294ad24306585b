"""Adds the imports of files, and the identities of the rows that were written."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, binary, code, text

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "import_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("format", code(16), nullable=False),
        sa.Column("gzipped", sa.Boolean(), nullable=False),
        sa.Column("state", code(16), nullable=False),
        sa.Column("object_key", code(512), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", binary(32), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("roles", code(1000), nullable=False),
        sa.Column("scopes", code(1000), nullable=False),
        sa.Column("traceparent", code(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("written_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('applications', 'payments')", name=op.f("ck_import_file_kind")),
        sa.CheckConstraint("format IN ('ndjson', 'csv')", name=op.f("ck_import_file_format")),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_import_file_state")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running') AND ended_at IS NULL AND next_attempt_at IS NOT NULL) "
            "OR (state IN ('done', 'failed') AND ended_at IS NOT NULL AND next_attempt_at IS NULL)",
            name=op.f("ck_import_file_ending"),
        ),
        sa.CheckConstraint("made + repeated + rejected <= row_count", name=op.f("ck_import_file_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_file")),
        schema="intake",
    )
    op.create_index("ix_import_file_next_attempt_at", "import_file", ["next_attempt_at"], schema="intake")
    op.create_index(
        "ix_import_file_created_by_created_at",
        "import_file",
        ["created_by", "created_at", "id"],
        schema="intake",
    )
    op.create_table(
        "import_fault",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pointer", code(200), nullable=False),
        sa.Column("detail", text(1000), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["intake.import_file.id"], name=op.f("fk_import_fault_import_id")
        ),
        sa.PrimaryKeyConstraint("import_id", "line", "number", name=op.f("pk_import_fault")),
        schema="intake",
    )
    op.create_table(
        "imported_row",
        sa.Column("sender", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("reference", code(80), nullable=False),
        sa.Column("sha256", binary(32), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('applications', 'payments')", name=op.f("ck_imported_row_kind")),
        sa.ForeignKeyConstraint(
            ["import_id"], ["intake.import_file.id"], name=op.f("fk_imported_row_import_id")
        ),
        sa.PrimaryKeyConstraint("sender", "kind", "reference", name=op.f("pk_imported_row")),
        schema="intake",
    )
    op.create_index("ix_imported_row_import_id_line", "imported_row", ["import_id", "line"], schema="intake")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("imported_row", schema="intake")
    op.drop_table("import_fault", schema="intake")
    op.drop_table("import_file", schema="intake")

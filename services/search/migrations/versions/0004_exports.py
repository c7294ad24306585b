"""Adds the record of exports."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE search.export (
        id uuid CONSTRAINT pk_export PRIMARY KEY,
        caller uuid NOT NULL,
        username text NOT NULL,
        format text NOT NULL,
        filters text NOT NULL,
        reason text,
        unmasked boolean NOT NULL,
        trace_id text,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        finished_at timestamptz,
        row_count bigint,
        outcome text,
        CONSTRAINT ck_export_reason CHECK (NOT unmasked OR reason IS NOT NULL),
        CONSTRAINT ck_export_end CHECK ((finished_at IS NULL) = (outcome IS NULL))
    )
    """,
    # Search can end an export, but neither change nor remove what it says about its beginning.
    "GRANT SELECT, INSERT, UPDATE (finished_at, row_count, outcome) ON search.export TO search",
)


def upgrade() -> None:
    """Create the table."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop it, with what it recorded."""
    op.execute("DROP TABLE search.export")

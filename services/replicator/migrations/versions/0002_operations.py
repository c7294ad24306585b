"""What operators need: a relay that works and not only starts, what is verified for good, who resolved what."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    # Set with the first sign of work under a lease; a relay that dies at each start never gets there.
    "ALTER TABLE replication.relay ADD COLUMN working_since timestamptz",
    """
    ALTER TABLE replication.sink_quarantine
        ADD COLUMN resolved_by varchar(128),
        ADD COLUMN resolution_reason text
    """,
    """
    CREATE TABLE replication.stopped_table (
        table_name varchar(130) CONSTRAINT pk_stopped_table PRIMARY KEY,
        reason text NOT NULL,
        command text NOT NULL,
        since timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE replication.verified_through (
        only_row boolean CONSTRAINT pk_verified_through PRIMARY KEY DEFAULT true
            CONSTRAINT ck_verified_through_only_row CHECK (only_row),
        incarnation uuid NOT NULL,
        position_major bigint NOT NULL,
        position_minor bigint NOT NULL,
        verified_at timestamptz NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON replication.stopped_table TO relay, sink",
    "GRANT SELECT ON replication.stopped_table TO verifier",
    "GRANT SELECT, INSERT, UPDATE ON replication.verified_through TO verifier",
    "GRANT SELECT ON replication.verified_through TO relay, sink",
    "GRANT DELETE ON replication.mismatch TO verifier",
    # Which table the open entries are of, and no more: what is in the quarantine can be personal.
    "GRANT SELECT (topic) ON replication.sink_quarantine TO relay, verifier",
)


def upgrade() -> None:
    """Add the columns and tables."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove them; who resolved what is forgotten."""
    op.execute("DROP TABLE replication.verified_through, replication.stopped_table")
    op.execute(
        "ALTER TABLE replication.sink_quarantine DROP COLUMN resolved_by, DROP COLUMN resolution_reason"
    )
    op.execute("ALTER TABLE replication.relay DROP COLUMN working_since")

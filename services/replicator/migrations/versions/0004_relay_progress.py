"""Adds the position of each table that the relay holds, and the time of Kafka's last acknowledgement."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; no table is held."""
    op.execute("ALTER TABLE replication.relay ADD COLUMN held jsonb NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE replication.relay ADD COLUMN acknowledged_at timestamptz")


def downgrade() -> None:
    """Remove them."""
    op.execute("ALTER TABLE replication.relay DROP COLUMN held, DROP COLUMN acknowledged_at")

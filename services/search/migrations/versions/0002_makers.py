"""Adds an index for callers who see only their own applications."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it to the list; the next preparation of the replica creates it."""
    op.execute(
        "INSERT INTO search.replica_index (name, table_name, definition) VALUES"
        " ('search_application_created_by', 'credit.application', '(created_by, submitted_at DESC, id DESC)')"
    )


def downgrade() -> None:
    """Remove it from the list, and drop it."""
    op.execute("DELETE FROM search.replica_index WHERE name = 'search_application_created_by'")
    op.execute("DROP INDEX IF EXISTS credit.search_application_created_by")

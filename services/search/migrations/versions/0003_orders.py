"""Adds indexes for the orders by amount and by score."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAMES = ("search_version_amount", "search_version_score", "search_version_best_score")


def upgrade() -> None:
    """Add them to the list; the next preparation of the replica creates them.

    An index is read in both directions, but the score, which can be missing, comes last in both.
    """
    op.execute(
        "INSERT INTO search.replica_index (name, table_name, definition) VALUES"
        " ('search_version_amount', 'credit.application_version', '(amount, application_id)'),"
        " ('search_version_score', 'credit.application_version', '(score, application_id)'),"
        " ('search_version_best_score', 'credit.application_version',"
        " '(score DESC NULLS LAST, application_id DESC)')"
    )


def downgrade() -> None:
    """Remove them from the list, and drop them."""
    op.execute(
        "DELETE FROM search.replica_index WHERE name IN"
        " ('search_version_amount', 'search_version_score', 'search_version_best_score')"
    )
    for name in NAMES:
        op.execute(f"DROP INDEX IF EXISTS credit.{name}")

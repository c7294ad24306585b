"""Adds the indexes of the lists of applications, which begin with the newest."""

from alembic import op

revision = "0016"
down_revision = "0015"

_INDEXES = {
    "ix_application_created_at": ["created_at", "id"],
    "ix_application_created_by_created_at": ["created_by", "created_at", "id"],
}


def upgrade() -> None:
    """Create both."""
    for name, columns in _INDEXES.items():
        op.create_index(name, "application", columns, schema="credit")


def downgrade() -> None:
    """Drop both."""
    for name in _INDEXES:
        op.drop_index(name, "application", schema="credit")

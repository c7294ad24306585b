"""Adds an index for the list of ended sessions, which every service polls every two seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Index the ended sessions."""
    op.create_index(
        "ix_auth_sessions_revoked_at",
        "sessions",
        ["revoked_at"],
        schema="auth",
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_auth_sessions_revoked_at", "sessions", schema="auth")

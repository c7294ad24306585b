"""Adds the sessions of people who are logged in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TIMESTAMP

revision = "0001"
down_revision = None

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "session",
        sa.Column("cookie_sha256", BYTEA(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("roles", ARRAY(sa.String(32)), nullable=False),
        sa.Column("tokens_encrypted", BYTEA(), nullable=False),
        sa.Column("access_expires_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("checked_at", _TIME, nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("cookie_sha256", name=op.f("pk_session")),
        schema="dashboard",
    )
    for column in ("seen_at", "ends_at"):
        op.create_index(f"ix_dashboard_session_{column}", "session", [column], schema="dashboard")


def downgrade() -> None:
    """Drop it: everybody logs in again."""
    op.drop_table("session", schema="dashboard")

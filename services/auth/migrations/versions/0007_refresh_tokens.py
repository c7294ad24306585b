"""Adds refresh tokens: a session now lives as long as they are used, up to its absolute end."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TIMESTAMP

revision = "0007"
down_revision = "0006"

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Create the table; existing sessions end with their access token."""
    # The defaults are for processes of before, which log people in until they are replaced: without a refresh token a
    # session ends with its access token.
    op.add_column(
        "sessions", sa.Column("ends_at", _TIME, nullable=False, server_default="infinity"), schema="auth"
    )
    op.add_column(
        "sessions",
        sa.Column("amr", ARRAY(sa.String(16)), nullable=False, server_default="{pwd}"),
        schema="auth",
    )
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("token_sha256", BYTEA(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["auth.sessions.id"], name=op.f("fk_refresh_token_session_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["auth.refresh_token.id"],
            name=op.f("fk_refresh_token_parent_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_refresh_token_token_sha256")),
        sa.UniqueConstraint("parent_id", name=op.f("uq_refresh_token_parent_id")),
        schema="auth",
    )
    for column in ("session_id", "expires_at"):
        op.create_index(f"ix_auth_refresh_token_{column}", "refresh_token", [column], schema="auth")


def downgrade() -> None:
    """Drop it: sessions end with their access token again."""
    op.drop_table("refresh_token", schema="auth")
    op.drop_column("sessions", "amr", schema="auth")
    op.drop_column("sessions", "ends_at", schema="auth")

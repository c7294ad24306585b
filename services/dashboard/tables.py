"""The table of schema `dashboard` in the application database; never replicated, never journalled."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TIMESTAMP

metadata = sa.MetaData(schema="dashboard")
_TIME = TIMESTAMP(timezone=True, precision=6)

sessions = sa.Table(
    "session",
    metadata,
    # The value itself is the browser's alone: who reads the table cannot use a session.
    sa.Column("cookie_sha256", BYTEA(), primary_key=True),
    sa.Column("user_id", sa.Uuid(), nullable=False),
    sa.Column("username", sa.String(64), nullable=False),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("roles", ARRAY(sa.String(32)), nullable=False),
    # The access token and the refresh token.
    sa.Column("tokens_encrypted", BYTEA(), nullable=False),
    sa.Column("access_expires_at", _TIME, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("seen_at", _TIME, nullable=False, index=True),
    # When auth last said that the session goes on.
    sa.Column("checked_at", _TIME, nullable=False),
    sa.Column("ends_at", _TIME, nullable=False, index=True),
)

"""The tables of schema `auth` in the application database; never replicated, never journalled."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TIMESTAMP

metadata = sa.MetaData(schema="auth")
_TIME = TIMESTAMP(timezone=True, precision=6)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("username", sa.String(64), nullable=False),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("roles", ARRAY(sa.String(32)), nullable=False),
    sa.Column("disabled", sa.Boolean(), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
)
sa.Index("uq_users_username", sa.func.lower(users.c.username), unique=True)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("user_id", sa.ForeignKey(users.c.id), nullable=False, index=True),
    sa.Column("issued_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("revoked_at", _TIME),
)

sa.Index(
    "ix_auth_sessions_revoked_at", sessions.c.revoked_at, postgresql_where=sessions.c.revoked_at.is_not(None)
)

login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("name_sha256", BYTEA(), primary_key=True),
    sa.Column("failed", sa.Integer(), nullable=False),
    sa.Column("last_at", _TIME, nullable=False),
)

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("public_key", BYTEA(), nullable=False),
    sa.Column("private_key_encrypted", BYTEA(), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("signs_from", _TIME, nullable=False),
    sa.Column("published_until", _TIME, nullable=False),
)

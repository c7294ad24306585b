"""The tables of schema `auth` in the application database; never replicated, never journalled."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP

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
    sa.Column("must_change_password", sa.Boolean(), nullable=False),
)
sa.Index("uq_users_username", sa.func.lower(users.c.username), unique=True)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("user_id", sa.ForeignKey(users.c.id), nullable=False, index=True),
    sa.Column("issued_at", _TIME, nullable=False),
    # When the last of its access tokens expires.
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("revoked_at", _TIME),
    sa.Column("network", sa.String(43)),
    # Its absolute end: no token of it lives longer.
    sa.Column("ends_at", _TIME, nullable=False, server_default="infinity"),
    # How the user has proved who they are (RFC 8176).
    sa.Column("amr", ARRAY(sa.String(16)), nullable=False, server_default="{pwd}"),
)

sa.Index(
    "ix_auth_sessions_revoked_at", sessions.c.revoked_at, postgresql_where=sessions.c.revoked_at.is_not(None)
)

refresh_tokens = sa.Table(
    "refresh_token",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("session_id", sa.ForeignKey(sessions.c.id), nullable=False, index=True),
    sa.Column("token_sha256", BYTEA(), nullable=False, unique=True),
    # Unique: a token has one child, so a session cannot have two branches.
    sa.Column("parent_id", sa.ForeignKey("auth.refresh_token.id", ondelete="SET NULL"), unique=True),
    sa.Column("issued_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False, index=True),
    sa.Column("used_at", _TIME),
)

login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("name_sha256", BYTEA(), primary_key=True),
    sa.Column("network", sa.String(43), primary_key=True),
    sa.Column("failed", sa.Integer(), nullable=False),
    sa.Column("last_at", _TIME, nullable=False),
)

network_failures = sa.Table(
    "network_failures",
    metadata,
    sa.Column("network", sa.String(43), primary_key=True),
    sa.Column("failed", sa.Integer(), nullable=False),
    sa.Column("since", _TIME, nullable=False),
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

proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    # For a user to be added: the id that they will have.
    sa.Column("user_id", sa.Uuid(), nullable=False),
    sa.Column("username", sa.String(64), nullable=False),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("roles_before", ARRAY(sa.String(32))),
    sa.Column("disabled_before", sa.Boolean()),
    sa.Column("roles", ARRAY(sa.String(32))),
    sa.Column("disabled", sa.Boolean()),
    sa.Column("sets_password", sa.Boolean(), nullable=False),
    # Only while the proposal waits.
    sa.Column("password_hash", sa.String(255)),
    sa.Column("proposed_by", sa.ForeignKey(users.c.id), nullable=False),
    sa.Column("proposed_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("confirmed_by", sa.ForeignKey(users.c.id)),
    sa.Column("confirmed_at", _TIME),
    sa.Column("refused_by", sa.ForeignKey(users.c.id)),
    sa.Column("refused_at", _TIME),
)
sa.Index("ix_auth_proposals_proposed_at", proposals.c.proposed_at, proposals.c.id)

reset_codes = sa.Table(
    "reset_code",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("user_id", sa.ForeignKey(users.c.id), nullable=False, index=True),
    sa.Column("code_sha256", BYTEA(), nullable=False),
    sa.Column("issued_by", sa.ForeignKey(users.c.id), nullable=False),
    sa.Column("issued_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("confirmed_by", sa.ForeignKey(users.c.id)),
    sa.Column("confirmed_at", _TIME),
    # Used or replaced.
    sa.Column("ended_at", _TIME),
)

totp = sa.Table(
    "totp",
    metadata,
    sa.Column("user_id", sa.ForeignKey(users.c.id), primary_key=True),
    sa.Column("secret_encrypted", BYTEA(), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("confirmed_at", _TIME),
    # The time step of the last code that counted: a code counts once.
    sa.Column("last_step", sa.BigInteger(), nullable=False),
)

recovery_codes = sa.Table(
    "recovery_code",
    metadata,
    sa.Column("user_id", sa.ForeignKey(users.c.id), primary_key=True),
    sa.Column("code_sha256", BYTEA(), primary_key=True),
    sa.Column("used_at", _TIME),
)

clients = sa.Table(
    "client",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("disabled", sa.Boolean(), nullable=False),
    sa.Column("created_by", sa.ForeignKey(users.c.id), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
)
sa.Index("uq_client_name", sa.func.lower(clients.c.name), unique=True)

client_secrets = sa.Table(
    "client_secret",
    metadata,
    # Also the session id of the tokens that it gets.
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("client_id", sa.ForeignKey(clients.c.id), nullable=False, index=True),
    sa.Column("secret_sha256", BYTEA(), nullable=False, unique=True),
    sa.Column("scopes", ARRAY(sa.String(64)), nullable=False),
    sa.Column("proposed_by", sa.ForeignKey(users.c.id), nullable=False),
    sa.Column("proposed_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("confirmed_by", sa.ForeignKey(users.c.id)),
    sa.Column("confirmed_at", _TIME),
    sa.Column("revoked_at", _TIME),
)
sa.Index(
    "ix_auth_client_secret_revoked_at",
    client_secrets.c.revoked_at,
    postgresql_where=client_secrets.c.revoked_at.is_not(None),
)
sa.Index(
    "uq_client_secret_active",
    client_secrets.c.client_id,
    unique=True,
    postgresql_where=sa.and_(
        client_secrets.c.confirmed_at.is_not(None), client_secrets.c.revoked_at.is_(None)
    ),
)

events = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    # NULL: somebody who is not logged in, or a command of the platform's set-up.
    sa.Column("actor", sa.Uuid()),
    sa.Column("object", sa.Uuid()),
    sa.Column("name_sha256", BYTEA()),
    sa.Column("address", sa.String(45)),
    sa.Column("trace_id", sa.String(32)),
    sa.Column("details", JSONB(), nullable=False),
)
sa.Index("ix_auth_event_at", events.c.at, events.c.id)

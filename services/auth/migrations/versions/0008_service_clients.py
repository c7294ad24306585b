"""Adds service clients, and their secrets, each of which needs two administrators."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TIMESTAMP

revision = "0008"
down_revision = "0007"

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "client",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["auth.users.id"], name=op.f("fk_client_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        schema="auth",
    )
    op.create_index("uq_client_name", "client", [sa.text("lower(name)")], unique=True, schema="auth")
    op.create_table(
        "client_secret",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("secret_sha256", BYTEA(), nullable=False),
        sa.Column("scopes", ARRAY(sa.String(64)), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("revoked_at", _TIME, nullable=True),
        # Two people, and a program never decides, books, moves money or grants rights.
        sa.CheckConstraint("proposed_by <> confirmed_by", name=op.f("ck_client_secret_second_person")),
        sa.CheckConstraint(
            "(confirmed_by IS NULL) = (confirmed_at IS NULL)", name=op.f("ck_client_secret_confirmed")
        ),
        sa.CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['applications:read', 'applications:submit', "
            "'parties:read', 'parties:write']::varchar[]",
            name=op.f("ck_client_secret_scopes"),
        ),
        sa.ForeignKeyConstraint(["client_id"], ["auth.client.id"], name=op.f("fk_client_secret_client_id")),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["auth.users.id"], name=op.f("fk_client_secret_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["auth.users.id"], name=op.f("fk_client_secret_confirmed_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_secret")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_client_secret_secret_sha256")),
        schema="auth",
    )
    op.create_index("ix_auth_client_secret_client_id", "client_secret", ["client_id"], schema="auth")
    op.create_index(
        "ix_auth_client_secret_revoked_at",
        "client_secret",
        ["revoked_at"],
        schema="auth",
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    op.create_index(
        "uq_client_secret_active",
        "client_secret",
        ["client_id"],
        unique=True,
        schema="auth",
        postgresql_where=sa.text("confirmed_at IS NOT NULL AND revoked_at IS NULL"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("client_secret", schema="auth")
    op.drop_table("client", schema="auth")

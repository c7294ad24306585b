"""Adds reset codes, one-time passwords as a second factor, and recovery codes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0009"
down_revision = "0008"

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "reset_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_sha256", BYTEA(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        # Two people, and neither is the user whose password it sets.
        sa.CheckConstraint("issued_by <> confirmed_by", name=op.f("ck_reset_code_second_person")),
        sa.CheckConstraint(
            "user_id <> issued_by AND user_id <> confirmed_by", name=op.f("ck_reset_code_not_ones_own")
        ),
        sa.CheckConstraint(
            "(confirmed_by IS NULL) = (confirmed_at IS NULL)", name=op.f("ck_reset_code_confirmed")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=op.f("fk_reset_code_user_id")),
        sa.ForeignKeyConstraint(["issued_by"], ["auth.users.id"], name=op.f("fk_reset_code_issued_by")),
        sa.ForeignKeyConstraint(["confirmed_by"], ["auth.users.id"], name=op.f("fk_reset_code_confirmed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reset_code")),
        schema="auth",
    )
    op.create_index("ix_auth_reset_code_user_id", "reset_code", ["user_id"], schema="auth")
    op.create_table(
        "totp",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret_encrypted", BYTEA(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=op.f("fk_totp_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp")),
        schema="auth",
    )
    op.create_table(
        "recovery_code",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_sha256", BYTEA(), nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=op.f("fk_recovery_code_user_id")),
        sa.PrimaryKeyConstraint("user_id", "code_sha256", name=op.f("pk_recovery_code")),
        schema="auth",
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("recovery_code", "totp", "reset_code"):
        op.drop_table(table, schema="auth")

"""Adds proposals that a second administrator confirms, passwords that must be changed, and the audit record."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP

revision = "0005"
down_revision = "0004"

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Create the tables; `event` is append-only."""
    op.add_column(
        "users",
        sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()),
        schema="auth",
    )
    op.alter_column("users", "must_change_password", server_default=None, schema="auth")
    op.create_table(
        "proposals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("roles_before", ARRAY(sa.String(32)), nullable=True),
        sa.Column("disabled_before", sa.Boolean(), nullable=True),
        sa.Column("roles", ARRAY(sa.String(32)), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=True),
        sa.Column("sets_password", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("refused_by", sa.Uuid(), nullable=True),
        sa.Column("refused_at", _TIME, nullable=True),
        sa.CheckConstraint("kind IN ('create', 'change')", name=op.f("ck_proposals_kind")),
        # Two people, and neither is the user whose rights they change.
        sa.CheckConstraint("proposed_by <> confirmed_by", name=op.f("ck_proposals_second_person")),
        sa.CheckConstraint(
            "user_id <> confirmed_by AND user_id <> proposed_by", name=op.f("ck_proposals_not_ones_own")
        ),
        sa.CheckConstraint(
            "(confirmed_by IS NULL) = (confirmed_at IS NULL) AND (refused_by IS NULL) = (refused_at IS NULL)"
            " AND (confirmed_by IS NULL OR refused_by IS NULL)",
            name=op.f("ck_proposals_settled_once"),
        ),
        sa.CheckConstraint(
            "password_hash IS NULL OR (confirmed_by IS NULL AND refused_by IS NULL)",
            name=op.f("ck_proposals_no_password_left"),
        ),
        sa.ForeignKeyConstraint(["proposed_by"], ["auth.users.id"], name=op.f("fk_proposals_proposed_by")),
        sa.ForeignKeyConstraint(["confirmed_by"], ["auth.users.id"], name=op.f("fk_proposals_confirmed_by")),
        sa.ForeignKeyConstraint(["refused_by"], ["auth.users.id"], name=op.f("fk_proposals_refused_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
        schema="auth",
    )
    op.create_index("ix_auth_proposals_proposed_at", "proposals", ["proposed_at", "id"], schema="auth")
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("actor", sa.Uuid(), nullable=True),
        sa.Column("object", sa.Uuid(), nullable=True),
        sa.Column("name_sha256", BYTEA(), nullable=True),
        sa.Column("address", sa.String(45), nullable=True),
        sa.Column("trace_id", sa.String(32), nullable=True),
        sa.Column("details", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        schema="auth",
    )
    op.create_index("ix_auth_event_at", "event", ["at", "id"], schema="auth")
    # A grant binds the service's login; this binds the tables' owner too.
    op.execute(
        "CREATE FUNCTION auth.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "BEGIN\n"
        "    RAISE EXCEPTION 'auth.event can only be added to' USING ERRCODE = 'insufficient_privilege';\n"
        "END\n"
        "$$"
    )
    op.execute(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON auth.event"
        " FOR EACH STATEMENT EXECUTE FUNCTION auth.refuse_change()"
    )


def downgrade() -> None:
    """Drop them, with what was recorded."""
    op.drop_table("event", schema="auth")
    op.execute("DROP FUNCTION auth.refuse_change()")
    op.drop_table("proposals", schema="auth")
    op.drop_column("users", "must_change_password", schema="auth")

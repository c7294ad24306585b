"""Failed logins are counted by name and network, and by network alone: no stranger locks a user out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0006"
down_revision = "0005"

_TIME = TIMESTAMP(timezone=True, precision=6)


def upgrade() -> None:
    """Count by network too; the counts of the last hour are forgotten."""
    op.add_column("sessions", sa.Column("network", sa.String(43), nullable=True), schema="auth")
    op.execute("DELETE FROM auth.login_failures")
    op.drop_constraint(op.f("pk_login_failures"), "login_failures", schema="auth")
    op.add_column("login_failures", sa.Column("network", sa.String(43), nullable=False), schema="auth")
    op.create_primary_key(
        op.f("pk_login_failures"), "login_failures", ["name_sha256", "network"], schema="auth"
    )
    op.create_table(
        "network_failures",
        sa.Column("network", sa.String(43), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("network", name=op.f("pk_network_failures")),
        schema="auth",
    )


def downgrade() -> None:
    """Count by name alone again."""
    op.drop_table("network_failures", schema="auth")
    op.execute("DELETE FROM auth.login_failures")
    op.drop_constraint(op.f("pk_login_failures"), "login_failures", schema="auth")
    op.drop_column("login_failures", "network", schema="auth")
    op.create_primary_key(op.f("pk_login_failures"), "login_failures", ["name_sha256"], schema="auth")
    op.drop_column("sessions", "network", schema="auth")

"""Adds the role of users who record disbursements and payments."""

from alembic import op

revision = "0002"
down_revision = "0001"

_BEFORE = "'maker', 'officer', 'senior_officer', 'committee', 'auditor', 'administrator'"


def upgrade() -> None:
    """Allow the role."""
    _allow(f"{_BEFORE}, 'servicing'")


def downgrade() -> None:
    """Forbid it; fails while a user has it."""
    _allow(_BEFORE)


def _allow(roles: str) -> None:
    op.drop_constraint(op.f("ck_users_roles"), "users", schema="auth")
    op.create_check_constraint(
        op.f("ck_users_roles"),
        "users",
        f"cardinality(roles) > 0 AND roles <@ ARRAY[{roles}]::varchar[]",
        schema="auth",
    )

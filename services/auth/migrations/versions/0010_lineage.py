"""Lets programs read lineage and tell where data go."""

from alembic import op

revision = "0010"
down_revision = "0009"

_BEFORE = ("applications:read", "applications:submit", "parties:read", "parties:write")
_LINEAGE = ("lineage:read", "lineage:write")
_NAME = "ck_client_secret_scopes"


def upgrade() -> None:
    """Widen what a secret can give."""
    _limit((*_BEFORE, *_LINEAGE))


def downgrade() -> None:
    """Narrow it; secrets that give lineage must be revoked and removed before."""
    _limit(_BEFORE)


def _limit(scopes: tuple[str, ...]) -> None:
    given = ", ".join(f"'{one}'" for one in scopes)
    op.drop_constraint(op.f(_NAME), "client_secret", schema="auth", type_="check")
    op.create_check_constraint(
        op.f(_NAME),
        "client_secret",
        f"cardinality(scopes) > 0 AND scopes <@ ARRAY[{given}]::varchar[]",
        schema="auth",
    )

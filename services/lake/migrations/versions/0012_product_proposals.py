"""Adds the proposals of products' parameters, which a second person confirms."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, day, rate, text

revision = "0012"
down_revision = "0011"

_RATES = ("interest_rate", "probability_of_default", "loss_given_default", "credit_conversion_factor")
_CHECKS = {
    "interest_rate": "interest_rate >= 0 AND interest_rate <= 10",
    "shares": " AND ".join(f"{share} >= 0 AND {share} <= 1" for share in _RATES[1:]),
    "state": "state IN ('waiting', 'confirmed', 'rejected', 'withdrawn')",
    "second_person": "confirmed_by <> proposed_by",
    "settled_once": (
        "(state = 'waiting' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NULL "
        "AND refused_at IS NULL) "
        "OR (state = 'confirmed' AND confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL AND refused_by IS NULL "
        "AND refused_at IS NULL) "
        "OR (state = 'rejected' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NOT NULL "
        "AND refused_at IS NOT NULL AND refused_by <> proposed_by) "
        "OR (state = 'withdrawn' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NOT NULL "
        "AND refused_at IS NOT NULL AND refused_by = proposed_by)"
    ),
}


def upgrade() -> None:
    """Create the table, empty. Parameters are written by confirmed proposals only, so intake no longer may."""
    op.execute("REVOKE INSERT ON credit.product_parameters FROM intake")
    op.create_table(
        "product_proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_code", code(32), nullable=False),
        sa.Column("valid_from", day(), nullable=False),
        *(sa.Column(name, rate(), nullable=False) for name in _RATES),
        sa.Column("reason", text(1000), nullable=False),
        sa.Column("state", code(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("refused_by", sa.Uuid(), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("comment", text(1000), nullable=True),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_product_proposal_{name}"))
            for name, condition in _CHECKS.items()
        ),
        sa.ForeignKeyConstraint(
            ["product_code"], ["credit.product.code"], name=op.f("fk_product_proposal_product_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_proposal")),
        schema="approval",
    )
    op.create_index(
        "ix_product_proposal_state_proposed_at",
        "product_proposal",
        ["state", "proposed_at"],
        schema="approval",
    )
    op.create_index(
        "uq_product_proposal_waiting",
        "product_proposal",
        ["product_code", "valid_from"],
        unique=True,
        schema="approval",
        postgresql_where=sa.text("state = 'waiting'"),
        mssql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    """Drop it; the grants of the older version follow the migration."""
    op.drop_table("product_proposal", schema="approval")

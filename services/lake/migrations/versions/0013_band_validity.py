"""Gives approval bands a first and a last day, and adds the proposals of bands, which a second person confirms."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, day, long_text, text

revision = "0013"
down_revision = "0012"

_CHECKS = {
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
_VALIDITY = "counts_until IS NULL OR counts_from IS NULL OR counts_until > counts_from"


def upgrade() -> None:
    """Existing bands count without limit. A band is ended and never changed, so approval loses other updates."""
    for name in ("counts_from", "counts_until"):
        op.add_column("approval_band", sa.Column(name, UtcDateTime(), nullable=True), schema="credit")
    op.create_check_constraint(op.f("ck_approval_band_validity"), "approval_band", _VALIDITY, schema="credit")
    op.execute("REVOKE UPDATE ON credit.approval_band FROM approval")
    op.create_table(
        "band_proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("valid_from", day(), nullable=False),
        sa.Column("bands", long_text(), nullable=False),
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
            sa.CheckConstraint(condition, name=op.f(f"ck_band_proposal_{name}"))
            for name, condition in _CHECKS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_band_proposal")),
        schema="approval",
    )
    op.create_index(
        "ix_band_proposal_state_proposed_at", "band_proposal", ["state", "proposed_at"], schema="approval"
    )
    op.create_index(
        "uq_band_proposal_waiting",
        "band_proposal",
        ["currency"],
        unique=True,
        schema="approval",
        postgresql_where=sa.text("state = 'waiting'"),
        mssql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    """Drop them; all bands count without limit again."""
    op.drop_table("band_proposal", schema="approval")
    op.drop_constraint(op.f("ck_approval_band_validity"), "approval_band", type_="check", schema="credit")
    for name in ("counts_until", "counts_from"):
        op.drop_column("approval_band", name, schema="credit")

"""Adds the parties' national ids, independent of spelling, and the confirmations of a second party with one."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create both, empty: intake fills the keys of existing parties."""
    op.create_table(
        "party_national_id",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("national_id_key", text(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["party_id"], ["credit.party.id"], name=op.f("fk_party_national_id_party_id")
        ),
        sa.PrimaryKeyConstraint("party_id", name=op.f("pk_party_national_id")),
        schema="intake",
    )
    op.create_index("ix_party_national_id_key", "party_national_id", ["national_id_key"], schema="intake")
    op.create_table(
        "national_id_confirmation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("national_id_key", text(64), nullable=False),
        sa.Column("reason", text(1000), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("used_by", sa.Uuid(), nullable=True),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "used_by IS NULL OR used_by <> confirmed_by", name=op.f("ck_national_id_confirmation_four_eyes")
        ),
        sa.CheckConstraint(
            "(party_id IS NULL AND used_by IS NULL AND used_at IS NULL) "
            "OR (party_id IS NOT NULL AND used_by IS NOT NULL AND used_at IS NOT NULL)",
            name=op.f("ck_national_id_confirmation_use"),
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["credit.party.id"], name=op.f("fk_national_id_confirmation_party_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_national_id_confirmation")),
        schema="intake",
    )
    op.create_index(
        "ix_national_id_confirmation_key", "national_id_confirmation", ["national_id_key"], schema="intake"
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("national_id_confirmation", schema="intake")
    op.drop_table("party_national_id", schema="intake")

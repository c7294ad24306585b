"""Adds the requests to the credit bureau."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table, empty: nobody has been asked about applications that are there."""
    op.create_table(
        "bureau_request",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", code(16), nullable=False),
        sa.Column("reason", code(32), nullable=True),
        sa.Column("provider", code(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('waiting', 'found', 'not_found', 'inconclusive')",
            name=op.f("ck_bureau_request_outcome"),
        ),
        sa.CheckConstraint(
            "outcome <> 'inconclusive' OR reason IS NOT NULL", name=op.f("ck_bureau_request_reason")
        ),
        sa.ForeignKeyConstraint(
            ["application_id", "version"],
            ["credit.application_version.application_id", "credit.application_version.version"],
            name=op.f("fk_bureau_request_version"),
        ),
        sa.ForeignKeyConstraint(["party_id"], ["credit.party.id"], name=op.f("fk_bureau_request_party_id")),
        sa.ForeignKeyConstraint(
            ["report_id"], ["credit.bureau_report.id"], name=op.f("fk_bureau_request_report_id")
        ),
        sa.PrimaryKeyConstraint("application_id", "version", "party_id", name=op.f("pk_bureau_request")),
        schema="intake",
    )
    op.create_index(
        "ix_bureau_request_next_attempt_at", "bureau_request", ["next_attempt_at"], schema="intake"
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("bureau_request", schema="intake")

"""Adds the parties of a version, frozen with it."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import code, day, text

revision = "0005"
down_revision = "0004"

# Only current versions: the tables no longer have the parties of older ones.
_FILL = """\
INSERT INTO credit.application_version_party
    (application_id, version, party_id, role, kind, full_name, birth_date, national_id, party_revision, origin)
SELECT a.id, a.current_version, t.party_id, t.role, p.kind, p.full_name, p.birth_date, p.national_id, p.revision,
    'migrated'
FROM credit.application AS a
INNER JOIN credit.application_party AS t ON t.application_id = a.id
INNER JOIN credit.party AS p ON p.id = t.party_id
WHERE a.current_version IS NOT NULL"""


def upgrade() -> None:
    """Create the table, and fill it for every current version with the parties as they are now, marked as migrated."""
    op.create_table(
        "application_version_party",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("role", code(16), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("full_name", text(200), nullable=False),
        sa.Column("birth_date", day(), nullable=True),
        sa.Column("national_id", text(32), nullable=True),
        sa.Column("party_revision", sa.Integer(), nullable=False),
        sa.Column("origin", code(16), nullable=False),
        sa.CheckConstraint(
            "role IN ('borrower', 'co-borrower', 'guarantor')", name=op.f("ck_application_version_party_role")
        ),
        sa.CheckConstraint(
            "origin IN ('submitted', 'migrated')", name=op.f("ck_application_version_party_origin")
        ),
        sa.ForeignKeyConstraint(
            ["application_id", "version"],
            ["credit.application_version.application_id", "credit.application_version.version"],
            name="fk_application_version_party_version",
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["credit.party.id"], name=op.f("fk_application_version_party_party_id")
        ),
        sa.PrimaryKeyConstraint(
            "application_id", "version", "party_id", "role", name=op.f("pk_application_version_party")
        ),
        schema="credit",
    )
    op.create_index(
        "ix_application_version_party_party_id",
        "application_version_party",
        ["party_id"],
        unique=False,
        schema="credit",
    )
    op.execute(_FILL)


def downgrade() -> None:
    """Drop the table; the frozen parties of versions are lost."""
    op.drop_table("application_version_party", schema="credit")

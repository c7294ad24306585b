"""Adds the tags by which intake finds parties."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import binary, code

revision = "0018"
down_revision = "0017"

_TAGS = ("national_id_tag", "email_tag", "phone_tag", "person_tag")


def upgrade() -> None:
    """Create the table, empty: only intake has the key, and tags the parties that are there."""
    op.create_table(
        "person_tag",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", code(16), nullable=False),
        sa.Column("party_revision", sa.Integer(), nullable=False),
        *(sa.Column(name, binary(32), nullable=True) for name in _TAGS),
        sa.ForeignKeyConstraint(["party_id"], ["credit.party.id"], name=op.f("fk_person_tag_party_id")),
        sa.PrimaryKeyConstraint("party_id", name=op.f("pk_person_tag")),
        schema="intake",
    )
    for name in _TAGS:
        op.create_index(f"ix_person_tag_{name}", "person_tag", [name], schema="intake")


def downgrade() -> None:
    """Drop it."""
    op.drop_table("person_tag", schema="intake")

"""Adds requests to write rows into the journal again, the readers' positions, and the position of the purge."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, long_text, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and the one row with the purge's position, (0, 0)."""
    op.create_table(
        "backfill",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("table_name", code(130), nullable=False),
        sa.Column("keys", long_text(), nullable=True),
        sa.Column("requested_by", text(128), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("after_key", code(850), nullable=True),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("rows_done", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("error", text(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
        schema="journal",
    )
    op.create_table(
        "reader",
        sa.Column("name", code(64), nullable=False),
        sa.Column("position_major", sa.BigInteger(), nullable=False),
        sa.Column("position_minor", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reader")),
        schema="journal",
    )
    purged = op.create_table(
        "purged",
        sa.Column("only_row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position_major", sa.BigInteger(), nullable=False),
        sa.Column("position_minor", sa.BigInteger(), nullable=False),
        sa.Column("purged_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("only_row = 1", name=op.f("ck_purged_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_purged")),
        schema="journal",
    )
    op.execute(sa.insert(purged).values(only_row=1, position_major=0, position_minor=0))


def downgrade() -> None:
    """Drop them; requests and the purge's position are lost."""
    for name in ("purged", "reader", "backfill"):
        op.drop_table(name, schema="journal")

"""Reads the journal with one round trip."""

from alembic import context, op

from services.lake.journal.dialect import journal_dialect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the objects that the engine needs for it."""
    for statement in journal_dialect(context.get_context().dialect.name).create_read():
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    for statement in journal_dialect(context.get_context().dialect.name).drop_read():
        op.execute(statement)

"""Keeps of the answer to a request the id of what it made, in place of its content."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import long_text

revision = "0017"
down_revision = "0016"

_NOTHING = "00000000-0000-0000-0000-000000000000"
# Nothing has this id: a repetition of the request is told that what it made was deleted.
_FILL = """\
UPDATE intake.idempotency_key
SET made_id = CASE WHEN status = 201 THEN {made} ELSE '{nothing}' END, status = 201"""
_MADE = {
    "postgresql": "CAST(CAST(response AS json) ->> 'id' AS uuid)",
    "mssql": "CAST(JSON_VALUE(response, '$.id') AS uniqueidentifier)",
}


def upgrade() -> None:
    """Take the ids from the answers; deletes the rest of them, which has personal data."""
    op.add_column("idempotency_key", sa.Column("made_id", sa.Uuid(), nullable=True), schema="intake")
    made = _MADE[op.get_context().dialect.name]
    op.execute(_FILL.format(made=made, nothing=_NOTHING))
    op.alter_column("idempotency_key", "made_id", existing_type=sa.Uuid(), nullable=False, schema="intake")
    op.drop_column("idempotency_key", "response", schema="intake")
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"], schema="intake")


def downgrade() -> None:
    """Keep that the requests were answered; what they made counts as deleted."""
    op.drop_index("ix_idempotency_key_created_at", "idempotency_key", schema="intake")
    op.add_column("idempotency_key", sa.Column("response", long_text(), nullable=True), schema="intake")
    op.execute("UPDATE intake.idempotency_key SET response = '', status = 410")
    op.alter_column("idempotency_key", "response", existing_type=long_text(), nullable=False, schema="intake")
    op.drop_column("idempotency_key", "made_id", schema="intake")

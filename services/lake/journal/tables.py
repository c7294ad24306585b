"""The tables of schema `journal` that control replication; the dialects define the journal itself."""

import sqlalchemy as sa

from services.lake.types import UtcDateTime, code, long_text, text

metadata = sa.MetaData()

backfill = sa.Table(
    "backfill",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("table_name", code(130), nullable=False),
    # A JSON array of keys; NULL for every row of the table.
    sa.Column("keys", long_text()),
    sa.Column("requested_by", text(128), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    # The last key of the last page; NULL before the first.
    sa.Column("after_key", code(850)),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("rows_done", sa.BigInteger, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("error", text(500)),
    schema="journal",
    implicit_returning=False,
)
"""Requests to write current rows into the journal: from a person or a migration, processed by the relay."""

reader = sa.Table(
    "reader",
    metadata,
    sa.Column("name", code(64), primary_key=True),
    sa.Column("position_major", sa.BigInteger, nullable=False),
    sa.Column("position_minor", sa.BigInteger, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    schema="journal",
    implicit_returning=False,
)
"""For each reader the position up to which it will never read again, even after a crash."""

purged = sa.Table(
    "purged",
    metadata,
    sa.Column("only_row", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position_major", sa.BigInteger, nullable=False),
    sa.Column("position_minor", sa.BigInteger, nullable=False),
    sa.Column("purged_at", UtcDateTime),
    sa.CheckConstraint("only_row = 1", name="ck_purged_only_row"),
    schema="journal",
    implicit_returning=False,
)
"""One row: up to which position the journal was purged, (0, 0) for never."""

"""Approval's private table; it is not captured."""

import sqlalchemy as sa

from services.lake.tables.applications import application
from services.lake.tables.columns import metadata, required
from services.lake.types import UtcDateTime, text

# Not captured: who works on an application, for half an hour. It counts at one revision of the application only, so
# every change of the application ends it.
claim = sa.Table(
    "claim",
    metadata,
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    required("revision", sa.Integer),
    required("claimed_by", sa.Uuid),
    required("claimed_at", UtcDateTime),
    required("expires_at", UtcDateTime),
    sa.Column("taken_from", sa.Uuid),
    sa.Column("reason", text(1000)),
    sa.CheckConstraint(
        "(taken_from IS NULL AND reason IS NULL) "
        "OR (taken_from IS NOT NULL AND reason IS NOT NULL AND taken_from <> claimed_by)",
        name="take_over",
    ),
    schema="approval",
    implicit_returning=False,
)

"""The tables of schema `lineage` in the application database; never replicated, never journalled.

`event` is what was sent. The projected tables follow from it (`services/lineage/events/rows.py`), and `rebuild` makes
them again. What people have entered by themselves (owners, sources, tags) is in the last four.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

metadata = sa.MetaData(schema="lineage")
TIME = TIMESTAMP(timezone=True, precision=6)


def _stamp(at: str, digest: str) -> tuple[sa.Column[object], sa.Column[object]]:
    return sa.Column(at, TIME, nullable=True), sa.Column(digest, BYTEA(), nullable=True)


events = sa.Table(
    "event",
    metadata,
    sa.Column("sha256", BYTEA(), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("event_time", TIME, nullable=False),
    sa.Column("namespace", sa.Text(), nullable=False),
    sa.Column("run_id", sa.Uuid(), nullable=True, index=True),
    sa.Column("received_at", TIME, nullable=False, index=True),
    # Canonical JSON. Text, not jsonb: it is kept as it was said, and nothing looks into it.
    sa.Column("body", sa.Text(), nullable=False),
    sa.Index("ix_lineage_event_event_time_sha256", "event_time", "sha256"),
)
datasets = sa.Table(
    "dataset",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("namespace", sa.Text(), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("first_at", TIME, nullable=False),
    sa.Column("last_at", TIME, nullable=False),
    *_stamp("version_at", "version_hash"),
    sa.Column("version_id", sa.Uuid(), nullable=True),
)
jobs = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("namespace", sa.Text(), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("first_at", TIME, nullable=False),
    sa.Column("last_at", TIME, nullable=False),
    *_stamp("io_at", "io_hash"),
    # Which datasets the job reads and writes now: those of this run or event.
    sa.Column("io_set", sa.Uuid(), nullable=True),
)
runs = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("first_at", TIME, nullable=False),
    sa.Column("started_at", TIME, nullable=True),
    sa.Column("last_at", TIME, nullable=False),
    sa.Column("job_at", TIME, nullable=False),
    sa.Column("job_hash", BYTEA(), nullable=False),
    sa.Column("job_id", sa.Uuid(), nullable=False),
    *_stamp("ended_at", "ended_hash"),
    sa.Column("ended_as", sa.String(16), nullable=True),
    sa.Index("ix_lineage_run_job_id_first_at", "job_id", "first_at"),
)
io = sa.Table(
    "io",
    metadata,
    sa.Column("set_id", sa.Uuid(), primary_key=True),
    sa.Column("direction", sa.String(3), primary_key=True),
    sa.Column("dataset_id", sa.Uuid(), primary_key=True),
    sa.Column("job_id", sa.Uuid(), primary_key=True),
    sa.Column("first_at", TIME, nullable=False),
)
versions = sa.Table(
    "version",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("dataset_id", sa.Uuid(), nullable=False),
    sa.Column("set_id", sa.Uuid(), nullable=False),
    sa.Column("first_at", TIME, nullable=False),
    *_stamp("at", "hash"),
    sa.Column("columns_id", sa.Uuid(), nullable=True),
    sa.Index("ix_lineage_version_dataset_id_first_at", "dataset_id", "first_at"),
)
columns = sa.Table(
    "columns",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("fields", sa.Text(), nullable=False),
)
facets = sa.Table(
    "facet",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("owner", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.Text(), primary_key=True),
    sa.Column("at", TIME, nullable=False),
    sa.Column("hash", BYTEA(), nullable=False),
    sa.Column("body", sa.Text(), nullable=False),
)
column_lineage = sa.Table(
    "column_lineage",
    metadata,
    sa.Column("dataset_id", sa.Uuid(), primary_key=True),
    sa.Column("job_id", sa.Uuid(), primary_key=True),
    sa.Column("at", TIME, nullable=False),
    sa.Column("hash", BYTEA(), nullable=False),
    sa.Column("fields", sa.Text(), nullable=False),
)
namespaces = sa.Table(
    "namespace",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("description", sa.Text(), nullable=True),
    sa.Column("created_at", TIME, nullable=False),
    sa.Column("updated_at", TIME, nullable=False),
)
sources = sa.Table(
    "source",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("type", sa.Text(), nullable=False),
    sa.Column("connection_url", sa.Text(), nullable=False),
    sa.Column("description", sa.Text(), nullable=True),
    sa.Column("created_at", TIME, nullable=False),
    sa.Column("updated_at", TIME, nullable=False),
)
tags = sa.Table(
    "tag",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("description", sa.Text(), nullable=True),
    sa.Column("created_at", TIME, nullable=False),
    sa.Column("updated_at", TIME, nullable=False),
)
tagged = sa.Table(
    "tagged",
    metadata,
    sa.Column("dataset_id", sa.Uuid(), primary_key=True),
    # A column of the dataset; empty for the dataset itself.
    sa.Column("field_id", sa.Uuid(), primary_key=True),
    sa.Column("tag_id", sa.Uuid(), primary_key=True),
    sa.Column("field", sa.Text(), nullable=False),
    sa.Column("tagged_at", TIME, nullable=False),
)
PROJECTED = {
    "dataset": datasets,
    "job": jobs,
    "run": runs,
    "io": io,
    "version": versions,
    "columns": columns,
    "facet": facets,
    "column_lineage": column_lineage,
}
"""The projected tables, by the names of their rules."""

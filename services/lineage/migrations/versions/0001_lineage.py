"""Adds the events, what follows from them, and what people enter by themselves."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0001"
down_revision = None

_TIME = TIMESTAMP(timezone=True, precision=6)
_SCHEMA = "lineage"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "event",
        sa.Column("sha256", BYTEA(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("event_time", _TIME, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_event")),
        schema=_SCHEMA,
    )
    op.create_index("ix_lineage_event_event_time_sha256", "event", ["event_time", "sha256"], schema=_SCHEMA)
    op.create_index("ix_lineage_event_received_at", "event", ["received_at"], schema=_SCHEMA)
    op.create_index("ix_lineage_event_run_id", "event", ["run_id"], schema=_SCHEMA)
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("version_at", _TIME, nullable=True),
        sa.Column("version_hash", BYTEA(), nullable=True),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        schema=_SCHEMA,
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("io_at", _TIME, nullable=True),
        sa.Column("io_hash", BYTEA(), nullable=True),
        sa.Column("io_set", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        schema=_SCHEMA,
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("job_at", _TIME, nullable=False),
        sa.Column("job_hash", BYTEA(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("ended_hash", BYTEA(), nullable=True),
        sa.Column("ended_as", sa.String(16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        schema=_SCHEMA,
    )
    op.create_index("ix_lineage_run_job_id_first_at", "run", ["job_id", "first_at"], schema=_SCHEMA)
    op.create_table(
        "io",
        sa.Column("set_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("set_id", "direction", "dataset_id", "job_id", name=op.f("pk_io")),
        schema=_SCHEMA,
    )
    op.create_table(
        "version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("set_id", sa.Uuid(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("at", _TIME, nullable=True),
        sa.Column("hash", BYTEA(), nullable=True),
        sa.Column("columns_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        schema=_SCHEMA,
    )
    op.create_index(
        "ix_lineage_version_dataset_id_first_at", "version", ["dataset_id", "first_at"], schema=_SCHEMA
    )
    op.create_table(
        "columns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_columns")),
        schema=_SCHEMA,
    )
    op.create_table(
        "facet",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("hash", BYTEA(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "owner", "name", name=op.f("pk_facet")),
        schema=_SCHEMA,
    )
    op.create_table(
        "column_lineage",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("hash", BYTEA(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "job_id", name=op.f("pk_column_lineage")),
        schema=_SCHEMA,
    )
    op.create_table(
        "namespace",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespace")),
        schema=_SCHEMA,
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("connection_url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        schema=_SCHEMA,
    )
    op.create_table(
        "tag",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        schema=_SCHEMA,
    )
    op.create_table(
        "tagged",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("field_id", sa.Uuid(), nullable=False),
        sa.Column("tag_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("tagged_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "field_id", "tag_id", name=op.f("pk_tagged")),
        schema=_SCHEMA,
    )


def downgrade() -> None:
    """Drop them."""
    for name in (
        "tagged",
        "tag",
        "source",
        "namespace",
        "column_lineage",
        "facet",
        "columns",
        "version",
        "io",
        "run",
        "job",
        "dataset",
        "event",
    ):
        op.drop_table(name, schema=_SCHEMA)

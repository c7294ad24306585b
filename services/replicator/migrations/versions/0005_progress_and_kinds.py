"""How far each partition is relayed and applied, as one view; what stopped a table, as a column.

Until now the reason of a stopped table began with what found it. Relay and sink of the version before this one do not
write the column: stop them first, as for every migration of this schema.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """
    CREATE VIEW replication.partition_progress AS
    SELECT p.topic, p.partition, p.relayed_major, p.relayed_minor,
        coalesce(o.position_major, 0) AS applied_major, coalesce(o.position_minor, 0) AS applied_minor,
        -- NULL until a sink has taken the partition over.
        o.updated_at
    FROM (
        SELECT split_part(place, '/', 1) AS topic, split_part(place, '/', 2)::integer AS partition,
            split_part(relayed, '.', 1)::bigint AS relayed_major, split_part(relayed, '.', 2)::bigint AS relayed_minor
        FROM replication.relay CROSS JOIN LATERAL jsonb_each_text(sent) AS s (place, relayed)
    ) AS p
    LEFT JOIN replication.sink_offset AS o ON o.topic = p.topic AND o.partition = p.partition
    """,
    "GRANT SELECT ON replication.partition_progress TO relay, sink, verifier",
    "ALTER TABLE replication.stopped_table ADD COLUMN kind varchar(16)",
    """
    UPDATE replication.stopped_table
    SET kind = split_part(reason, ': ', 1), reason = substr(reason, strpos(reason, ': ') + 2)
    WHERE split_part(reason, ': ', 1) IN ('schema', 'capture', 'relay')
    """,
    # A sink writes its own again within a second, and removes what is none.
    "UPDATE replication.stopped_table SET kind = 'schema' WHERE kind IS NULL",
    """
    ALTER TABLE replication.stopped_table ALTER COLUMN kind SET NOT NULL,
        ADD CONSTRAINT ck_stopped_table_kind CHECK (kind IN ('schema', 'capture', 'relay'))
    """,
)


def upgrade() -> None:
    """Add the view and the column, and split the reasons that are there."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove them; a reason begins with its kind again."""
    op.execute("UPDATE replication.stopped_table SET reason = kind || ': ' || reason")
    op.execute("ALTER TABLE replication.stopped_table DROP COLUMN kind")
    op.execute("DROP VIEW replication.partition_progress")

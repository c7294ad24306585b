"""Up to where the replica is whole and when it was verified, as a view that search reads for its answers."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
    CREATE VIEW replication.freshness AS
    SELECT
        -- Everything up to here is applied: what is relayed, unless a partition lags behind that.
        coalesce(lagging.applied_major, r.position_major) AS whole_major,
        coalesce(lagging.applied_minor, r.position_minor) AS whole_minor,
        -- Nothing of a stopped table is applied, and the relay passes over its changes.
        (SELECT min(s.since) FROM replication.stopped_table AS s) AS stopped_since,
        (SELECT v.verified_at FROM replication.verified_through AS v) AS verified_at
    FROM replication.relay AS r
    LEFT JOIN LATERAL (
        SELECT p.applied_major, p.applied_minor
        FROM replication.partition_progress AS p
        WHERE (p.applied_major, p.applied_minor) < (p.relayed_major, p.relayed_minor)
        ORDER BY p.applied_major, p.applied_minor
        LIMIT 1
    ) AS lagging ON true
    """,
    "GRANT USAGE ON SCHEMA replication TO search",
    "GRANT SELECT ON replication.freshness TO search",
)


def upgrade() -> None:
    """Add the view, for search."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP VIEW replication.freshness")
    op.execute("REVOKE USAGE ON SCHEMA replication FROM search")

"""The claim of a batch as a function, so that it can be part of the statement that writes the batch."""

from alembic import op

revision = "0003"
down_revision = "0002"

CLAIM = """
    CREATE FUNCTION replication.claim(
        topics text[], partitions integer[], kafka_offsets bigint[], majors bigint[], minors bigint[],
        incarnations uuid[], epochs bigint[], fences bigint[]
    ) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        claimed integer;
        lost text;
    BEGIN
        -- First of all in a batch's transaction, and by all sinks in the same order: whoever holds the rows is the only
        -- one who writes these partitions.
        PERFORM FROM replication.sink_offset AS o JOIN unnest(topics, partitions) AS m (topic, partition)
            ON o.topic = m.topic AND o.partition = m.partition
            ORDER BY o.topic, o.partition FOR UPDATE OF o;
        UPDATE replication.sink_offset AS o
        SET kafka_offset = m.kafka_offset, position_major = m.major, position_minor = m.minor,
            incarnation = m.incarnation, epoch = m.epoch, updated_at = clock_timestamp()
        FROM unnest(topics, partitions, kafka_offsets, majors, minors, incarnations, epochs, fences)
            AS m (topic, partition, kafka_offset, major, minor, incarnation, epoch, fence)
        WHERE o.topic = m.topic AND o.partition = m.partition AND o.fence = m.fence;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        IF claimed < cardinality(topics) THEN
            SELECT string_agg(m.topic || '/' || m.partition, ', ') INTO lost
            FROM unnest(topics, partitions, fences) AS m (topic, partition, fence)
            WHERE NOT EXISTS (
                SELECT FROM replication.sink_offset AS o
                WHERE o.topic = m.topic AND o.partition = m.partition AND o.fence = m.fence
            );
            RAISE EXCEPTION 'partitions were taken over'
                USING ERRCODE = 'CM001', DETAIL = 'taken over by another sink: ' || lost;
        END IF;
        RETURN true;
    END $$
"""


def upgrade() -> None:
    """Add the function, for sinks alone."""
    op.execute(CLAIM)
    op.execute("REVOKE ALL ON FUNCTION replication.claim FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION replication.claim TO sink")


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP FUNCTION replication.claim")

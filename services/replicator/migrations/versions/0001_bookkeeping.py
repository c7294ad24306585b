"""Bookkeeping of relay, sink and verification, and the schema of the replica."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS credit",
    "GRANT USAGE, CREATE ON SCHEMA credit TO sink",
    "GRANT USAGE ON SCHEMA credit TO search, verifier",
    "ALTER DEFAULT PRIVILEGES FOR ROLE sink IN SCHEMA credit GRANT SELECT ON TABLES TO search, verifier",
    "GRANT USAGE ON SCHEMA replication TO relay, sink, verifier",
    """
    CREATE TABLE replication.relay (
        only_row boolean CONSTRAINT pk_relay PRIMARY KEY DEFAULT true CONSTRAINT ck_relay_only_row CHECK (only_row),
        owner varchar(128),
        epoch bigint NOT NULL DEFAULT 0,
        expires_at timestamptz NOT NULL DEFAULT '-infinity',
        incarnation uuid,
        position_major bigint NOT NULL DEFAULT 0,
        position_minor bigint NOT NULL DEFAULT 0,
        -- When the change at the cursor was captured: a journal that holds another change there is another journal.
        captured_at timestamptz,
        -- Topic and partition ("lake.credit.party/3") to the last position sent to it.
        sent jsonb NOT NULL DEFAULT '{}',
        saved_at timestamptz
    )
    """,
    "INSERT INTO replication.relay DEFAULT VALUES",
    """
    CREATE TABLE replication.sink_offset (
        topic varchar(249) NOT NULL,
        partition integer NOT NULL,
        kafka_offset bigint NOT NULL DEFAULT 0,
        position_major bigint NOT NULL DEFAULT 0,
        position_minor bigint NOT NULL DEFAULT 0,
        incarnation uuid,
        epoch bigint NOT NULL DEFAULT 0,
        fence bigint NOT NULL DEFAULT 0,
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_sink_offset PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE replication.sink_quarantine (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sink_quarantine PRIMARY KEY,
        topic varchar(249) NOT NULL,
        partition integer NOT NULL,
        kafka_offset bigint NOT NULL,
        position varchar(41),
        operation varchar(16),
        key bytea,
        image bytea,
        headers jsonb NOT NULL,
        reason text NOT NULL,
        quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        resolved_at timestamptz,
        resolution varchar(16),
        CONSTRAINT uq_sink_quarantine_topic_partition_kafka_offset UNIQUE (topic, partition, kafka_offset)
    )
    """,
    "CREATE INDEX ix_sink_quarantine_open ON replication.sink_quarantine (topic, key) WHERE resolved_at IS NULL",
    """
    CREATE TABLE replication.verification (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_verification PRIMARY KEY,
        started_at timestamptz NOT NULL,
        finished_at timestamptz NOT NULL,
        position_major bigint NOT NULL,
        position_minor bigint NOT NULL,
        rows_compared bigint NOT NULL,
        mismatches bigint NOT NULL,
        unstable bigint NOT NULL
    )
    """,
    """
    CREATE TABLE replication.mismatch (
        verification_id bigint NOT NULL CONSTRAINT fk_mismatch_verification_id REFERENCES replication.verification (id),
        table_name varchar(130) NOT NULL,
        key text NOT NULL,
        kind varchar(16) NOT NULL,
        CONSTRAINT pk_mismatch PRIMARY KEY (verification_id, table_name, key)
    )
    """,
    "GRANT SELECT, UPDATE ON replication.relay TO relay",
    "GRANT SELECT, INSERT, UPDATE ON replication.sink_offset, replication.sink_quarantine TO sink",
    "GRANT SELECT, INSERT ON replication.verification, replication.mismatch TO verifier",
    "GRANT SELECT ON replication.relay, replication.sink_offset TO relay, sink, verifier",
    "GRANT SELECT ON replication.verification, replication.mismatch TO relay, sink, verifier",
    # How many are open, and no more: what is in the quarantine can be personal.
    "GRANT SELECT (id, resolved_at) ON replication.sink_quarantine TO relay, verifier",
)


def upgrade() -> None:
    """Create everything in schema `replication`, and the still empty schema of the replica."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the first revision has nothing before it."""
    raise NotImplementedError("drop the database instead")

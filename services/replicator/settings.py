"""Settings of the replicator's processes."""

import os
import socket
from typing import Literal

from pydantic import Field, SecretStr

from services.chassis.kafka_access import KafkaSettings
from services.chassis.settings import ServiceSettings


class MigrationSettings(ServiceSettings):
    """What `migrate` reads."""

    http_port: int = Field(0, description="not used by one-shot commands")
    application_url: SecretStr = Field(
        description="SQLAlchemy URL of the application database: postgresql+asyncpg://login:password@host:port/name"
    )


class PurgeSettings(ServiceSettings):
    """What `purge` reads."""

    http_port: int = Field(0, description="not used by one-shot commands")
    lake_url: SecretStr = Field(description="SQLAlchemy URL of the lake, with its owner's login")


class CommandSettings(MigrationSettings):
    """What the commands that look at both databases read (verify, status, quarantine)."""

    lake_url: SecretStr = Field(
        description="SQLAlchemy URL of the lake: postgresql+asyncpg://… or mssql+aioodbc://…"
    )


class ReplicatorSettings(KafkaSettings, CommandSettings):
    """What relay and sink both read."""

    http_port: int = Field(
        ge=0, le=65535, description="TCP port of /livez, /readyz, /metrics (the relay: /status)"
    )
    topic_prefix: str = Field(
        "lake.",
        pattern=r"^[A-Za-z0-9._-]*\.$",
        description="what a topic's name begins with, before schema and table; ends with a dot; one for each lake",
    )
    # A fetch names the partitions of all tables. At 1,000 messages a second on a busy machine, Kafka took 2.3 ms
    # (median) with 12 partitions in a fetch, 3 ms with 24, 7.5 to 10 ms with 48.
    topic_partitions: int = Field(
        2,
        ge=1,
        le=1000,
        description="partitions of each topic lake.*, fixed for a topic's life; at most this many sinks can share a "
        "table, and each makes every fetch a little slower",
    )
    instance: str = Field(
        default_factory=lambda: f"{socket.gethostname()}:{os.environ.get('HTTP_PORT', '0')}",
        description="name of this process among those of its kind; one that keeps it over a restart resumes at once",
    )


class RelaySettings(ReplicatorSettings):
    """What the relay reads."""

    relay_batch_changes: int = Field(
        5_000, ge=1, le=100_000, description="most changes read in one statement"
    )
    relay_compression: Literal["none", "lz4", "zstd", "gzip", "snappy"] = Field(
        "none",
        description="compression of batches; it costs a quarter of the relay's time and saves half of the bytes",
    )
    reviewed_triggers: str = Field(
        "",
        description="reviewed triggers that write no captured table: schema.table.trigger, separated by commas",
    )
    relay_catalogue_seconds: float = Field(
        10.0,
        gt=0,
        description="seconds between two comparisons of the lake's tables and triggers with what is captured",
    )
    relay_lease_seconds: float = Field(
        10.0, ge=1, description="seconds of silence after which a relay loses its lease"
    )
    relay_command_seconds: float = Field(
        30.0,
        gt=0,
        description="seconds after which a statement on the lake is abandoned and relaying restarts at the cursor",
    )
    # On a quiet lake a change waits for half of it on average.
    relay_idle_poll_seconds: float = Field(
        0.01, gt=0, le=5, description="longest pause between two polls when idle, seconds"
    )
    # At 1,000 transactions a second on two cores, 8 ms instead of 6 made the median 1 ms later, took a tenth off the
    # work of relay, broker and sink, and did not slow the slowest hundredth.
    relay_pace_seconds: float = Field(
        0.008,
        ge=0,
        le=1,
        description="seconds from the start of a round that carried changes to the next: fewer rounds under load",
    )
    backfill_page_rows: int = Field(
        2_000, ge=1, le=100_000, description="most rows that a backfill locks and writes in one transaction"
    )


class VerifierSettings(CommandSettings):
    """What the continuous verification reads."""

    http_port: int = Field(ge=0, le=65535, description="TCP port of /livez, /readyz, /metrics and /status")
    verify_every_seconds: float = Field(
        300.0, ge=1, description="seconds between two verifications; each reads every row on both sides"
    )
    verify_command_seconds: float = Field(
        1800.0,
        ge=1,
        description="seconds after which a statement is abandoned; reading all rows of a table is one statement",
    )
    verify_wait_seconds: float = Field(
        60.0,
        ge=1,
        description="seconds to wait for the replica to catch up; if it does not, this verification is skipped",
    )


class SinkSettings(ReplicatorSettings):
    """What the sink reads."""

    sink_group: str = Field(
        "creditmesh-sink", description="Kafka consumer group; its members share the partitions"
    )
    sink_batch_changes: int = Field(
        10_000, ge=1, le=100_000, description="most changes applied in one transaction"
    )
    sink_session_seconds: float = Field(
        10.0,
        ge=3,
        description="seconds of silence after which a sink loses its partitions; after half, its transaction is ended",
    )
    sink_command_seconds: float = Field(
        60.0,
        gt=0,
        description="seconds after which a statement on either database is abandoned and retried",
    )

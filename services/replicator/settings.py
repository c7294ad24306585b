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
        "lake.", min_length=1, description="before schema and table in a topic's name; one prefix a lake"
    )
    topic_partitions: int = Field(
        2,
        ge=1,
        le=1000,
        description="partitions of each topic lake.*, fixed for a topic's life: as many sinks can share a table; "
        "each makes every fetch a little slower",
    )
    instance: str = Field(
        default_factory=lambda: f"{socket.gethostname()}:{os.environ.get('HTTP_PORT', '0')}",
        description="name of this process among its like; the same after a restart, so that it resumes at once",
    )


class RelaySettings(ReplicatorSettings):
    """What the relay reads."""

    relay_batch_changes: int = Field(5_000, ge=1, le=100_000, description="most changes read at once")
    relay_compression: Literal["none", "lz4", "zstd", "gzip", "snappy"] = Field(
        "none", description="how batches are compressed: a quarter of the relay's time for half the bytes"
    )
    reviewed_triggers: str = Field(
        "",
        description="triggers on captured tables that write none: schema.table.trigger, separated by commas",
    )
    relay_catalogue_seconds: float = Field(
        10.0, gt=0, description="how often the lake's tables and triggers are compared with what is captured"
    )
    relay_lease_seconds: float = Field(10.0, ge=1, description="a relay silent for so long loses its lease")
    relay_command_seconds: float = Field(
        30.0,
        gt=0,
        description="a statement of the lake that takes longer is given up, and relaying begins again at the cursor",
    )
    relay_idle_poll_seconds: float = Field(
        0.01, gt=0, le=5, description="longest pause between polls when idle"
    )
    relay_pace_seconds: float = Field(
        0.008,
        ge=0,
        le=1,
        description="after a round that carried changes the next begins so long after it: fewer rounds under load",
    )
    backfill_page_rows: int = Field(
        2_000, ge=1, le=100_000, description="most rows that a backfill locks and writes in one transaction"
    )


class VerifierSettings(CommandSettings):
    """What the continuous verification reads."""

    http_port: int = Field(ge=0, le=65535, description="TCP port of /livez, /readyz, /metrics and /status")
    verify_every_seconds: float = Field(
        300.0, ge=1, description="pause between two verifications; each reads every row on both sides"
    )
    verify_command_seconds: float = Field(
        1800.0, ge=1, description="a statement that takes longer is given up: reading a table's rows is one"
    )
    verify_wait_seconds: float = Field(
        60.0, ge=1, description="a replica that does not catch up in so long is not verified this time"
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
        description="a sink silent for so long loses its partitions; its open transaction goes at half",
    )
    sink_command_seconds: float = Field(
        60.0,
        gt=0,
        description="a statement of either database that takes longer is given up and tried again",
    )

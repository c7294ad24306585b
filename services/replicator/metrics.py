"""Metrics of relay, sink and verification."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

DELAY_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0)

RELAYED = Counter("credit_replication_relayed_changes", "Changes that Kafka acknowledged.", ("table",))
RELAY_BACKLOG_AGE = Gauge(
    "credit_replication_relay_backlog_seconds",
    "Age of the oldest change that was read and not yet acknowledged; grows while Kafka is silent.",
)
RELAY_EPOCH = Gauge("credit_replication_relay_epoch", "Epoch of this relay's lease; 0 while it stands by.")
HORIZON_HELD = Gauge(
    "credit_replication_horizon_held_seconds",
    "Age of the oldest open lake transaction that holds the horizon back.",
)
APPLIED = Counter(
    "credit_replication_applied_changes", "Changes written to the replica.", ("table", "operation")
)
DROPPED = Counter(
    "credit_replication_dropped_records",
    "Records that were not applied on purpose: repeats, those of a relay that had lost its lease or failed to send.",
    ("reason",),
)
APPLY_DELAY = Histogram(
    "credit_replication_delay_seconds",
    "From a change in the lake to its commit in the application database, once a lake transaction and batch.",
    buckets=DELAY_BUCKETS,
)
LAG = Gauge(
    "credit_replication_lag_seconds",
    "Age of the last change applied, when more is waiting, or of the last answer of a database or of Kafka that is "
    "silent; 0 when caught up.",
)
TABLE_STOPPED = Gauge(
    "credit_replication_table_stopped",
    "1 for a table that is stopped until a person acts; the status says why.",
    ("table",),
)
QUARANTINED = Gauge("credit_replication_quarantined_records", "Open entries of the quarantine.")
BACKFILLED = Counter(
    "credit_replication_backfilled_rows", "Rows that were written into the journal again.", ("table",)
)
VERIFIED = Gauge(
    "credit_replication_verified_timestamp_seconds",
    "Unix time of the last verification that found both sides equal; 0 when there is none.",
)
MISMATCHES = Gauge(
    "credit_replication_mismatches", "Rows that the last verification found different.", ("table",)
)
TABLE_LAG_ROWS = Gauge(
    "credit_replication_table_lag_rows",
    "Changes that the lake has captured and the replica has not applied; at most 50,000 of all tables, "
    "stopped ones apart, are counted.",
    ("table",),
)
TABLE_LAG = Gauge(
    "credit_replication_table_lag_seconds",
    "Age of the oldest change that the lake has captured and the replica has not applied; 0 when there is none.",
    ("table",),
)
RELAY_ALIVE = Gauge(
    "credit_replication_relay_alive",
    "1 while a relay holds the lease, has worked under it, and Kafka acknowledges what it sends; one that dies at each "
    "start does not.",
)

RELAYS = (RELAYED, RELAY_BACKLOG_AGE, RELAY_EPOCH, HORIZON_HELD, BACKFILLED)
SINKS = (APPLIED, DROPPED, APPLY_DELAY, LAG, QUARANTINED, TABLE_STOPPED)
VERIFIERS = (VERIFIED, MISMATCHES, TABLE_LAG_ROWS, TABLE_LAG, RELAY_ALIVE)


def expose_only(own: tuple[Collector, ...]) -> None:
    """Leave out what other processes measure: a gauge that nobody sets would say 0 here, and an alert believe it."""
    for collector in (*RELAYS, *SINKS, *VERIFIERS):
        if collector not in own:
            REGISTRY.unregister(collector)

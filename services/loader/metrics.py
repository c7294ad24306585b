"""Metrics of the warehouse's loads, exposed by the exporter: the commands themselves are gone before anybody looks."""

from collections.abc import Sequence

from prometheus_client import Gauge

from services.loader.status import FlowStatus

ROWS = Gauge(
    "credit_warehouse_load_rows", "Rows that a flow's batches have landed, replays apart.", ("flow",)
)
BATCHES = Gauge("credit_warehouse_load_batches", "Batches that a flow has loaded, replays apart.", ("flow",))
DURATION = Gauge(
    "credit_warehouse_load_duration_seconds", "How long the newest batch of a flow took to load.", ("flow",)
)
AGE = Gauge(
    "credit_warehouse_load_age_seconds",
    "Time since a run of the flow last ended well, with rows or without; infinite before the first.",
    ("flow",),
)
STALE = Gauge(
    "credit_warehouse_load_stale", "1 when that is longer ago than the flow file allows, else 0.", ("flow",)
)
FAILED_CHECKS = Gauge(
    "credit_warehouse_quality_failed_checks",
    "Quality checks that failed in a flow's newest run of them.",
    ("flow",),
)
SET_ASIDE = Gauge(
    "credit_warehouse_quarantined_rows",
    "Rows of a landing table that break a rule and wait for a correction at their source.",
    ("flow", "table"),
)
READ = Gauge(
    "credit_warehouse_status_timestamp_seconds",
    "Unix time at which the warehouse last answered the exporter.",
)


def export(found: Sequence[FlowStatus]) -> None:
    """Set the gauges."""
    for each in found:
        ROWS.labels(each.flow).set(each.rows)
        BATCHES.labels(each.flow).set(each.batches)
        DURATION.labels(each.flow).set(each.last_seconds)
        AGE.labels(each.flow).set(float("inf") if each.age_seconds is None else each.age_seconds)
        STALE.labels(each.flow).set(each.stale)
        FAILED_CHECKS.labels(each.flow).set(each.failed_checks)
        for table, rows in each.set_aside.items():
            SET_ASIDE.labels(each.flow, table).set(rows)
    READ.set_to_current_time()

"""The warehouse's alerts on made-up series, by promtool: what fires, what must not, and when."""

from __future__ import annotations

from pathlib import Path

from tests.unit.platform.alerting import assert_firing

# promtool's clock begins at 0, so a flow that was last made at time 0 is as old as the test.
SERIES = {
    'credit_warehouse_flow_freshness_seconds{job="airflow",flow="lake",layer="dl"}': "3600x180",
    'credit_warehouse_flow_freshness_seconds{job="airflow",flow="ods",layer="ods"}': "7200x180",
    'credit_warehouse_flow_fresh_timestamp_seconds{job="airflow",flow="lake",layer="dl"}': "0x180",
    # Rebuilt after ninety minutes.
    'credit_warehouse_flow_fresh_timestamp_seconds{job="airflow",flow="ods",layer="ods"}': "0x89 5400x90",
    'credit_warehouse_flow_failed{job="airflow",flow="lake",layer="dl"}': "0x60 1x59 0x60",
    'credit_warehouse_definition_errors{job="airflow"}': "0x30 1x0 0x29 1x10 0x120",
    'credit_warehouse_scheduling_heartbeat_timestamp_seconds{job="airflow",process="scheduler"}': "0x180",
    'credit_warehouse_scheduling_heartbeat_timestamp_seconds{job="airflow",process="dag-processor"}': "0+60x180",
    'up{job="airflow"}': "1x120 0x60",
    'up{job="exporter"}': "1x10 _x170",
    'credit_warehouse_quality_failed_checks{job="exporter",flow="lake"}': "0x20 2x159",
    # Set aside at minute 41, corrected at minute 100; of the other table nothing ever.
    'credit_warehouse_quarantined_rows{job="exporter",flow="lake",table="credit_loan"}': "0x40 3x58 0x80",
    'credit_warehouse_quarantined_rows{job="exporter",flow="lake",table="credit_party"}': "0x180",
}
# At each minute the alerts that fire, by their labels.
FIRING: dict[int, dict[str, list[dict[str, str]]]] = {
    20: {
        "WarehouseExporterDown": [{}],
        "WarehouseQualityFailed": [],
    },
    21: {"WarehouseQualityFailed": [{"flow": "lake"}]},
    0: {
        "WarehouseExporterDown": [],
        "WarehouseStale": [],
        "WarehouseSchedulingDown": [],
        "WarehouseAirflowDown": [],
    },
    30: {"WarehouseStale": [], "WarehouseFlowFailed": [], "WarehouseDefinitionErrors": []},
    60: {"WarehouseStale": [], "WarehouseFlowFailed": []},
    40: {"WarehouseRowsSetAside": []},
    41: {"WarehouseRowsSetAside": [{"flow": "lake", "table": "credit_loan"}]},
    100: {"WarehouseRowsSetAside": []},
    61: {
        "WarehouseStale": [{"flow": "lake", "layer": "dl"}],
        "WarehouseFlowFailed": [{"flow": "lake", "layer": "dl"}],
        "WarehouseSchedulingDown": [{"process": "scheduler"}],
    },
    65: {"WarehouseDefinitionErrors": [{}]},
    121: {
        "WarehouseFlowFailed": [],
        "WarehouseStale": [{"flow": "lake", "layer": "dl"}],
        "WarehouseAirflowDown": [],
    },
    125: {"WarehouseAirflowDown": [{"job": "airflow"}]},
}


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    assert_firing("warehouse.yaml", SERIES, FIRING, tmp_path)

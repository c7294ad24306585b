"""Replication's alerts on made-up series, by promtool: what fires, what must not, and when."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.platform.components.prometheus import ALERTS, alerts, binary
from services.platform.errors import NotAvailableError
from services.platform.settings import PlatformSettings

# Kafka is frozen in the fifth minute, and again in the tenth for good.
SERIES = {
    'credit_replication_relay_backlog_seconds{job="relay"}': "0x4 30 0x4 60+60x10",
    'credit_replication_relay_alive{job="verifier"}': "1x4 0 1x4 0x10",
    'credit_replication_lag_seconds{job="sink"}': "0x20",
    'up{job="sink"}': "1x20",
    'up{job="verifier"}': "1x20",
}
FIRING: dict[int, tuple[str, ...]] = {
    4: (),
    5: (),
    6: (),
    9: (),
    12: ("ReplicationRelayBacklog", "ReplicationRelayDown"),
    15: ("ReplicationRelayBacklog", "ReplicationRelayDown"),
}


def test_a_silent_kafka_is_an_alert_and_a_short_pause_is_none(tmp_path: Path) -> None:
    try:
        promtool = binary("promtool", PlatformSettings().tools)
    except NotAvailableError as error:
        pytest.skip(str(error))
    rules = yaml.safe_load(alerts(ALERTS / "replication.yaml", after_seconds=60))["groups"][0]["rules"]
    severity = {rule["alert"]: rule["labels"] for rule in rules}
    for rule in rules:  # what people read is not compared here
        rule.pop("annotations")
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "replication", "rules": rules}]})
    )
    watched = (
        "ReplicationRelayBacklog",
        "ReplicationRelayDown",
        "ReplicationSinkDown",
        "ReplicationVerifierDown",
    )
    expected: list[dict[str, Any]] = []
    for minute, firing in FIRING.items():
        for name in watched:
            labels = dict(severity[name])
            if name == "ReplicationRelayDown":
                labels["job"] = "verifier"
            wanted = [{"exp_labels": labels}] if name in firing else []
            expected.append({"eval_time": f"{minute}m", "alertname": name, "exp_alerts": wanted})
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
                "alert_rule_test": expected,
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

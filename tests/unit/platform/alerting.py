"""Alerts on made-up series, by promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.platform.components.prometheus import ALERTS, alerts, binary
from services.platform.errors import NotAvailableError
from services.platform.settings import PlatformSettings


def assert_firing(
    file: str,
    series: Mapping[str, str],
    firing: Mapping[int, Mapping[str, Sequence[Mapping[str, str]]]],
    folder: Path,
) -> None:
    """The alerts of a file fire as `firing` has it: for minutes the labels of each alert, and none is left out."""
    try:
        promtool = binary("promtool", PlatformSettings().tools)
    except NotAvailableError as error:
        pytest.skip(str(error))
    rules = yaml.safe_load(alerts(ALERTS / file, after_seconds=60))["groups"][0]["rules"]
    severity = {rule["alert"]: rule["labels"] for rule in rules}
    assert {name for alarms in firing.values() for name in alarms} == severity.keys()
    expected: list[dict[str, Any]] = [
        {
            "eval_time": f"{minute}m",
            "alertname": name,
            "exp_alerts": [{"exp_labels": {**severity[name], **labels}} for labels in alarm],
        }
        for minute, alarms in firing.items()
        for name, alarm in alarms.items()
    ]
    for rule in rules:  # what people read is not compared here
        rule.pop("annotations")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "tested", "rules": rules}]}))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": expected,
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

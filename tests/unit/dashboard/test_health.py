"""What the page about the platform asks for is what the processes measure, and everything it can name has a word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.dashboard.pages import platform
from services.dashboard.parts.health import ALERTS, PROCESSES, URGENCY
from services.platform.components.prometheus import SCRAPED

OBSERVABILITY = Path(__file__).parents[3] / "observability"
EXPRESSIONS = {
    name: value for name, value in vars(platform).items() if "credit_" in str(value) and name.isupper()
}


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted((OBSERVABILITY / "alerts").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def test_every_alert_has_a_word_and_an_urgency() -> None:
    assert ALERTS.keys() == {rule["alert"] for rule in rules()}
    assert {rule["labels"]["severity"] for rule in rules()} <= URGENCY.keys()


def test_every_process_has_a_word() -> None:
    assert set(SCRAPED) | {"zipkin", "airflow"} <= PROCESSES.keys()


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_an_expression_asks_for_what_a_process_measures(name: str) -> None:
    declared = yaml.safe_load((OBSERVABILITY / "schema" / "metrics.yaml").read_text(encoding="utf-8"))[
        "metrics"
    ]
    emitted = {one["name"]: one["emitted_by"] for one in declared}
    asked = re.findall(r'(credit_\w+)\{job="(\w+)"\}', EXPRESSIONS[name])
    assert asked
    for metric, job in asked:
        assert job in emitted[metric]

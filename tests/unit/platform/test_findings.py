"""The findings of `status`: stopped tables, failed flows and quarantined rows."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.platform.components.airflow_api import load
from services.platform.components.command_environments import by_hand, command_environments
from services.platform.errors import PlatformError
from services.platform.findings import GAUGES, of_gauges, of_replication
from services.platform.home import Home
from services.platform.platform import Platform
from services.platform.settings import ROOT, PlatformSettings
from services.platform.supervision import last_words

WELL: dict[str, Any] = {
    "relay_fault": None,
    "quarantined": 0,
    "verified": {"mismatches": 0},
    "tables": [{"table": "credit.party", "stopped": None, "command": None}],
    "backfills": [{"table": "credit.party", "error": None}],
}


def test_a_replication_that_is_well_needs_nobody() -> None:
    assert of_replication(WELL) == []
    assert of_replication(WELL | {"verified": None}) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"relay_fault": "none holds the lease"}, "no relay works: none holds the lease"),
        (
            {
                "tables": [
                    {
                        "table": "credit.loan",
                        "stopped": "relay: too large",
                        "command": "resume-table credit.loan",
                    }
                ]
            },
            "credit.loan is stopped: relay: too large; run: resume-table",
        ),
        ({"quarantined": 3}, "3 records are in replication's quarantine"),
        ({"verified": {"mismatches": 2}}, "2 rows that differ"),
        (
            {"backfills": [{"table": "credit.loan", "error": "timeout"}]},
            "backfill of credit.loan failed: timeout",
        ),
    ],
)
def test_what_needs_a_person_is_a_sentence(change: dict[str, Any], told: str) -> None:
    [finding] = of_replication(WELL | change)
    assert told in finding


def test_failed_flows_and_failed_checks_are_read_from_metrics() -> None:
    page = """\
# HELP credit_warehouse_flow_failed Whether the last run failed.
# TYPE credit_warehouse_flow_failed gauge
credit_warehouse_flow_failed{flow="lake",layer="dl"} 0.0
credit_warehouse_flow_failed{flow="ods",layer="ods"} 1.0
credit_warehouse_quality_failed_checks{flow="lake"} 2.0
credit_warehouse_definition_errors 0.0
credit_warehouse_quarantined_rows{flow="lake",table="credit_loan"} 3.0
credit_warehouse_quarantined_rows{flow="lake",table="credit_party"} 0.0
"""
    assert of_gauges(page) == [
        "the flow ods failed at its last run: see its log in Airflow",
        "2 checks of the flow lake fail: docs/runbooks/load-failed.md",
        "3 rows of credit_loan are set aside: docs/runbooks/rows-set-aside.md",
    ]


def test_every_gauge_that_status_reads_is_one_that_a_process_shows() -> None:
    declared = yaml.safe_load((ROOT / "observability/schema/metrics.yaml").read_text())["metrics"]
    labels = {metric["name"]: set(metric.get("labels", {})) for metric in declared}
    for name, sentence in GAUGES.items():
        assert set(re.findall(r"\{(\w+)\}", sentence)) - {"value"} <= labels[name], name


def test_the_last_error_is_shown_and_not_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "relay.log"
    log.write_text(
        json.dumps(
            {
                "level": "error",
                "event": "the process failed",
                "exception": "Traceback\nJournalReplaced: other",
            }
        )
        + "\n"
        + json.dumps({"level": "info", "event": "stopping"})
        + "\n"
    )
    assert last_words(log) == "the process failed: JournalReplaced: other"
    log.write_text("usage: nothing\nno such setting\n")
    assert last_words(log) == "no such setting"
    assert last_words(tmp_path / "none.log") == "(no log)"


async def test_a_load_without_airflow_says_what_to_run(tmp_path: Path) -> None:
    platform = Platform(PlatformSettings(home=tmp_path / "with blank", airflow=False))
    with pytest.raises(PlatformError) as refused:
        await load(platform, "lake")
    loader, dbt = command_environments(platform.home)
    for part in (str(loader), str(dbt), "services.loader.main run lake", "dbt/build.py --select"):
        assert part in str(refused.value)


def test_the_commands_are_a_shell_s(tmp_path: Path) -> None:
    home = Home(tmp_path / "with blank")
    home.create()
    for file in command_environments(home):
        file.write_text('SAID=a b {"c": 1}\n')
    script = by_hand(home, "lake")
    checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    probe = script.splitlines()[1].partition(";  ")[0]
    said = subprocess.run(
        ["bash", "-c", probe.replace(probe[probe.index("; .venv") :], '; printf %s "$SAID")')],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == 'a b {"c": 1}'


def test_the_files_of_commands_are_written_without_airflow(tmp_path: Path) -> None:
    platform = Platform(PlatformSettings(home=tmp_path / "var", airflow=False))
    assert "command-environments" in platform.components
    assert "airflow-api" not in platform.components

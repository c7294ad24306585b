"""Airflow's own reading of the flow files: every DAG imports, with limits, and tells what it makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from services.platform.settings import ROOT

FLOWS = ROOT / "airflow" / "flows"


def described(tmp_path: Path) -> dict[str, Any]:
    """What Airflow makes of the flow files."""
    done = subprocess.run(
        [ROOT / ".venv-airflow" / "bin" / "python", ROOT / "airflow" / "tests" / "describe_dags.py"],
        env={
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "CREDITMESH_FLOWS": str(FLOWS),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_every_flow_is_a_dag_with_limits_and_an_asset(tmp_path: Path) -> None:
    read = described(tmp_path)
    assert read["errors"] == {}
    assert read["dags"].keys() == {"expire_applications", *(file.stem for file in FLOWS.glob("*.yaml"))}
    pools = json.loads((ROOT / "airflow" / "pools.json").read_text())
    for name, dag in read["dags"].items():
        assert (dag["max_active_runs"], dag["catchup"]) == (1, False), name
        for task in dag["tasks"]:
            assert task["pool"] in pools, name
            assert task["minutes"] > 0, name
            assert task["told"] == 1, name
        if name == "expire_applications":
            assert [(task["name"], task["makes"]) for task in dag["tasks"]] == [("expire", [])]
            continue
        layer = "dl" if name == "lake" else name
        made = [uri for task in dag["tasks"] for uri in task["makes"]]
        assert made == [f"creditmesh://{layer}/{name}"]
        assert dag["tasks"][-1]["makes"], "whoever waits for a flow waits for its last task"
    ods = [(task["name"], task["after"]) for task in read["dags"]["ods"]["tasks"]]
    assert ods == [("build", []), ("check_lake", ["build"])]
    ap = [(task["name"], task["after"]) for task in read["dags"]["ap"]["tasks"]]
    assert ap == [("build", []), ("publish", ["build"])]

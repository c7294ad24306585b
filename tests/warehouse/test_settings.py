"""A changed variable, environment variable or seed: what depends on it is rebuilt by the next build, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.platform.settings import ROOT
from tests.warehouse.conftest import Warehouse
from tests.warehouse.portfolio import AS_OF

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(1200)

DERIVED = "path:models/dw/business_vault path:models/dm path:models/ap path:seeds"
# What a run does, not what its rows are.
OF_RUNS = {"test_every_row", "compile_incremental"}
VARIABLES: dict[str, Any] = {
    "as_of_date": "2026-08-20",
    "business_time_zone": "Asia/Tokyo",
    "materiality_amount": 1000,
    "materiality_share": 0.9,
    "calendar_years": 1,
    "outcome_months": 6,
}
# A line of each seed, and another one.
SEEDS = {"score_bins": (("1,,435,0.0890", "2,435,460,0.1030"), ("1,,450,0.0890", "2,450,460,0.1030"))}


def variables(**changed: Any) -> tuple[str, str]:
    """The arguments that set variables beside the reporting date of the tests."""
    return "--vars", json.dumps({"as_of_date": AS_OF.isoformat()} | changed)


def with_seed(folder: Path, name: str, lines: tuple[str, ...], others: tuple[str, ...]) -> Path:
    """A copy of the project in which some lines of a seed are others."""
    project = folder / "project"
    shutil.copytree(ROOT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    path = project / "seeds" / f"{name}.csv"
    text = path.read_text()
    for line, other in zip(lines, others, strict=True):
        assert line in text
        text = text.replace(line, other)
    path.write_text(text)
    return project


async def equals_a_full_refresh(warehouse: Warehouse, *more: str) -> None:
    """Build incrementally: something is another, and a full refresh changes nothing of it."""
    before = await warehouse.checksums("dm", "ap")
    await warehouse.models(*more, select=DERIVED)
    found = await warehouse.checksums("dm", "ap")
    assert found != before
    await warehouse.models(*more, "--full-refresh", select=DERIVED)
    assert await warehouse.checksums("dm", "ap") == found


def test_every_setting_is_changed_here() -> None:
    project = yaml.safe_load((ROOT / "dbt" / "dbt_project.yml").read_text())
    assert set(project["vars"]) - OF_RUNS == set(VARIABLES)
    assert {path.stem for path in (ROOT / "dbt" / "seeds").glob("*.csv")} == set(SEEDS)


# Each takes two builds, so every run tries one.
QUICK = {"business_time_zone"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in VARIABLES]
)
async def test_a_changed_variable_rebuilds_what_depends_on_it(copied: Warehouse, name: str) -> None:
    await equals_a_full_refresh(copied, *variables(**{name: VARIABLES[name]}))


@pytest.mark.long
@pytest.mark.parametrize("name", SEEDS)
async def test_a_changed_seed_rebuilds_what_depends_on_it(
    copied: Warehouse, tmp_path: Path, name: str
) -> None:
    copied.project = with_seed(tmp_path, name, *SEEDS[name])
    await equals_a_full_refresh(copied)


@pytest.mark.long
async def test_layers_built_one_after_the_other_take_up_a_change(copied: Warehouse) -> None:
    """The time zone of the environment, as the flows build: a layer at a time, ap before dm once more."""
    copied.environment["BUSINESS_TIME_ZONE"] = "America/Los_Angeles"
    for layer in ("dw/business_vault", "ap", "dm", "ap"):
        built = await copied.models(select=f"path:models/{layer} path:seeds")
    assert "rebuilds kpi_decision" in built.output
    found = await copied.checksums("dm", "ap")
    (zone,) = await copied.rows("SELECT business_time_zone FROM dm.reporting_date")
    assert zone["business_time_zone"] == "America/Los_Angeles"
    again = await copied.models(select=DERIVED)
    assert "rebuilds" not in again.output
    await copied.models("--full-refresh", select=DERIVED)
    assert await copied.checksums("dm", "ap") == found


@pytest.mark.long
async def test_bins_with_a_gap_are_refused(copied: Warehouse, tmp_path: Path) -> None:
    copied.project = with_seed(tmp_path, "score_bins", ("2,435,460,0.1030",), ("2,436,460,0.1030",))
    refused = await copied.build("path:seeds path:models/ap", status=1)
    assert "adjoining_bins_score_bins" in refused.output
    # What reads them is not built with them.
    assert refused.result["states"]["skipped"] >= 1


async def test_the_raw_vault_depends_on_no_setting(built: Warehouse) -> None:
    """It is inserted into only and keeps no state: nothing in its SQL may come from a variable."""
    files = [
        *(ROOT / "dbt" / "models" / "ods").glob("*.sql"),
        *(ROOT / "dbt" / "models" / "dw" / "raw_vault").glob("*.sql"),
        *(
            ROOT / "dbt" / "macros" / f"{name}.sql"
            for name in ("ods", "vault", "typed", "json", "hash", "types")
        ),
    ]
    assert len(files) > 50
    assert [path.name for path in files if "var(" in path.read_text() or "env_var" in path.read_text()] == []
    rows = await built.rows("SELECT model FROM build.model_state")
    kept = {row["model"] for row in rows}
    assert kept >= {"score_bins", "snapshot_calendar", "fact_loan_month", "kpi", "instalment_status"}
    assert not [name for name in kept if name.startswith(("sat_", "link_", "hub_", "credit_"))]

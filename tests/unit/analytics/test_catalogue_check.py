"""The check of the catalogue against dbt and the guide finds what each of them lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.analytics.catalogue import check
from services.analytics.catalogue.check import GUIDE, Project, anchors_of, faults, named_in, read_project
from services.analytics.catalogue.model import Catalogue, read_catalogue

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def project() -> Project:
    return read_project()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture(scope="module")
def guide() -> str:
    return GUIDE.read_text(encoding="utf-8")


def test_catalogue_guide_and_models_agree(catalogue: Catalogue, project: Project, guide: str) -> None:
    assert list(faults(catalogue, project, guide)) == []
    assert check.main() == 0
    assert len(project.kpis) == len(catalogue.kpis) - 3
    assert named_in(guide) == set(catalogue.kpis)


def test_make_lint_runs_the_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert "-m services.analytics.catalogue.check" in lint


def test_a_kpi_that_one_of_three_lacks_is_named(catalogue: Catalogue, project: Project, guide: str) -> None:
    poorer = Catalogue(kpis={name: kpi for name, kpi in catalogue.kpis.items() if name != "psi"})
    assert list(faults(poorer, project, guide)) == [
        "psi: is in the test of ap.kpi (dbt/models/ap/kpi.yml) and not in the catalogue",
        "psi: is in docs/guides/kpis.md and not in the catalogue",
    ]
    assert list(faults(catalogue, replace(project, kpis=project.kpis - {"psi"}), guide)) == [
        "psi: is in the catalogue and not in the test of ap.kpi (dbt/models/ap/kpi.yml)"
    ]
    assert list(faults(catalogue, project, guide.replace("| `psi`", "| psi"))) == [
        "psi: is in the catalogue and not in docs/guides/kpis.md"
    ]
    without = Catalogue(kpis={name: kpi for name, kpi in catalogue.kpis.items() if name != "roll_rate"})
    assert "no file of the catalogue reads ap.roll_rate" in list(faults(without, project, guide))


def test_a_heading_that_is_gone_is_told_with_its_file_and_line(
    catalogue: Catalogue, project: Project, guide: str
) -> None:
    found = list(faults(catalogue, project, guide.replace("## Decisions", "## Decided")))
    assert len(found) == 9
    assert found[0].startswith("approval_rate.yaml:")
    assert found[0].endswith(
        ": guide: docs/guides/kpis.md has no heading of 'kpis.md#decisions-kpi_decision'"
    )


def test_tables_columns_and_types_are_compared(catalogue: Catalogue, project: Project, guide: str) -> None:
    tables = {name: dict(columns) for name, columns in project.tables.items()}
    del tables["dm.fact_loan_outcome"]
    del tables["dm.fact_decision"]["score"]
    tables["ap.kpi"]["value"] = "varchar(40)"
    changed = Project(tables, project.kpis, {"outcome_months": 18})
    assert list(faults(catalogue, changed, guide)) == [
        "columns.py: the dbt project has no model dm.fact_loan_outcome",
        "columns.py: dm.fact_decision has no column score",
        "columns.py: ap.kpi.value is varchar(40), which is no decimal",
        "parameters.py: OUTCOME_MONTHS is 12, and the dbt project has another outcome_months",
    ]


def test_names_are_read_from_tables_of_kpis_alone() -> None:
    of_kpis = "| KPI | numerator |\n| --- | --- |\n| `a`, `b_2` of `c`: `column` | `d` |\n"
    page = f"{of_kpis}\n| other | x |\n| --- | --- |\n| `e` | |\n"
    assert named_in(page) == {"a", "b_2", "c"}


def test_anchors_are_made_as_the_site_makes_them() -> None:
    toc = pytest.importorskip("markdown.extensions.toc", reason="the documentation's site is not installed")
    headings = [
        "Portfolio, at t (kpi_portfolio, roll_rate)",
        "A  -  b",
        "What an imported history leaves out (kpi)",
    ]
    assert anchors_of("".join(f"## {one}\n" for one in headings)) == {
        toc.slugify(one, "-") for one in headings
    }


def test_an_invalid_catalogue_ends_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "read_catalogue", lambda: read_catalogue(tmp_path))
    assert check.main() == 1
    assert "there is no *.yaml" in capsys.readouterr().err

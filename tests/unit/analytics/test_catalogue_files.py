"""Files of the catalogue: the committed ones are valid, and a fault is told with file, line and field."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.analytics.catalogue.columns import FACTS
from services.analytics.catalogue.errors import InvalidCatalogue
from services.analytics.catalogue.model import KPIS, Catalogue, read_catalogue, read_kpi

VALID = """\
id: par_30
unit: ratio
value: ratio
better: lower
thresholds: {warn: 0.10, bad: 0.15}
why: It is said so.
title: {en: PAR 30, vi: PAR 30}
definition: {en: What is late., vi: Nợ quá hạn.}
guide: kpis.md#portfolio
grains: [as_of]
dimensions: {all: {}, product: {column: product_code}}
source: {table: ap.kpi, where: "kpi = 'par_30'"}
numerator:
  table: dm.fact_loan_month
  where: "currency = :currency and days_past_due > 30"
  sum: outstanding_principal
  columns: [loan_id, application_id]
denominator:
  table: dm.fact_loan_month
  where: "currency = :currency and snapshot_date = :as_of"
  sum: outstanding_principal
  columns: [loan_id]
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def test_the_committed_files_are_valid(catalogue: Catalogue) -> None:
    assert len(catalogue.kpis) == len(list(KPIS.glob("*.yaml"))) > 30
    assert catalogue.kpis["par_30"].lineage == "ap.kpi.value[par_30]"
    assert catalogue.kpis["vintage_written_off"].lineage == "ap.vintage.written_off_value"
    threshold = catalogue.kpis["par_30"].thresholds
    assert threshold is not None
    # Every digit as it is written: 0.1 as a float is another number.
    assert str(threshold.warn) == "0.10"


def test_every_text_is_there_in_both_languages(catalogue: Catalogue) -> None:
    for kpi in catalogue.kpis.values():
        for words in (kpi.title, kpi.definition):
            assert words.en.replace("\u2013", "-").isascii(), kpi.id
        assert not kpi.definition.vi.isascii(), kpi.id
        assert kpi.definition.vi != kpi.definition.en
        assert kpi.definition.en.endswith(".")
        assert kpi.definition.vi.endswith(".")
    for language in ("en", "vi"):
        titles = [getattr(kpi.title, language) for kpi in catalogue.kpis.values()]
        assert len(set(titles)) == len(titles)


def test_rows_show_nothing_that_names_a_person() -> None:
    columns = {column for table in FACTS.values() for column in table.columns}
    personal = {"full_name", "name", "national_id", "email", "phone", "birth_date", "birth_year", "address"}
    assert columns & personal == set()


def test_a_kpi_that_does_not_add_up_says_why(catalogue: Catalogue) -> None:
    reasons = {name: kpi.reason for name, kpi in catalogue.kpis.items() if not kpi.adds_up}
    assert set(reasons) == {
        *(
            "backlog_age_p50",
            "backlog_age_p95",
            "expected_loss",
            "expected_loss_rate",
            "gini",
            "hhi",
            "ks",
            "psi",
        ),
        *(f"time_to_decision_{which}" for which in ("p50", "p95", "net_p50", "net_p95")),
    }
    assert all(reason and reason.endswith(".") for reason in reasons.values())


def test_an_entry_cannot_be_changed(catalogue: Catalogue) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        catalogue.kpis["par_30"].unit = "count"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "id: par_30",
            "id: par_60",
            12,
            "source.where: of ap.kpi it must be `kpi = 'par_60'`, of other tables nothing",
        ),
        (
            "unit: ratio",
            "unit: euros",
            2,
            "unit: input should be 'amount', 'count', 'days', 'hours', 'index' or 'ratio'",
        ),
        ("unit: ratio", "units: ratio", 2, "units: extra inputs are not permitted"),
        ("unit: ratio", "unit: ratio\nunit: count", 3, "unit: is given twice; keep one"),
        (
            "{warn: 0.10, bad: 0.15}",
            "{warn: 0.20, bad: 0.15}",
            5,
            "thresholds: with lower better, warn must come before bad",
        ),
        (
            "{warn: 0.10, bad: 0.15}",
            "{warn: .nan, bad: 0.15}",
            5,
            "thresholds.warn: input should be a finite number",
        ),
        (
            "better: lower",
            "better: neither",
            5,
            "thresholds: neither direction is better, so none can be bad",
        ),
        ("title: {en: PAR 30, vi: PAR 30}", "title: {en: PAR 30}", 7, "title.vi: field required"),
        ("vi: Nợ quá hạn.", "vi: ''", 8, "definition.vi: string should have at least 1 character"),
        (
            "guide: kpis.md#portfolio",
            "guide: warehouse.md#x",
            9,
            "guide: string should match pattern '^kpis\\.md#[a-z0-9_-]+$'",
        ),
        (
            "grains: [as_of]",
            "grains: [year]",
            10,
            "grains[0]: input should be 'as_of', 'month_end', 'month_of_booking', "
            "'month_of_decision' or 'month_of_submission'",
        ),
        (
            "{column: product_code}",
            "{column: product}",
            11,
            "dimensions.product: dm.fact_loan_month has no column 'product'",
        ),
        ("all: {}", "all: {column: status}", 11, "dimensions.all: it is the whole, which has no column"),
        (
            "table: ap.kpi, where",
            "table: ap.kpi, column: kpi, where",
            12,
            "source.column: ap.kpi has no amount 'kpi'",
        ),
        (
            "kpi = 'par_30'",
            "kpi = par_30",
            12,
            "source.where: position 7: expected a text in quotes, a number, a date or a "
            ":parameter, found 'par_30'",
        ),
        (
            "currency = :currency and days_past_due > 30",
            "currency = :currency and days_past_due > '30'",
            15,
            "numerator.where: days_past_due is of kind integer, and '30' is of kind text",
        ),
        (
            "currency = :currency and days_past_due > 30",
            "currency = :currency and late > 30",
            15,
            "numerator.where: dm.fact_loan_month has no column 'late' for conditions",
        ),
        (
            "currency = :currency and days_past_due > 30",
            "days_past_due > 30",
            15,
            "numerator.where: it must hold `currency = :currency`: amounts of two currencies never add up",
        ),
        (
            "snapshot_date = :as_of",
            "snapshot_date = :opened_on",
            20,
            "denominator.where: there is no parameter :opened_on; there are: as_of, as_of_end, currency, grain, "
            "outcome_before, period_after, period_start, year_start",
        ),
        (
            "  sum: outstanding_principal\n  columns: [loan_id]",
            "  sum: loan_id\n  columns: [loan_id]",
            21,
            "denominator.sum: dm.fact_loan_month has no fitting column 'loan_id'",
        ),
        (
            "  sum: outstanding_principal\n  columns: [loan_id]",
            "  columns: [loan_id]",
            18,
            "denominator: it must say how its rows add up, or `adds_up: no`",
        ),
        (
            "  columns: [loan_id]\n",
            "  count: rows\n  columns: [loan_id]\n",
            21,
            "denominator.sum: give one of sum, count, count_distinct, sum_of_days_since",
        ),
        (
            "columns: [loan_id, application_id]",
            "columns: [loan_id, email]",
            17,
            "numerator.columns[1]: dm.fact_loan_month has no column 'email' to show",
        ),
        (
            "columns: [loan_id, application_id]",
            "columns: [loan_id, loan_id]",
            17,
            "numerator.columns: a column is named twice",
        ),
        (
            "numerator:\n  table: dm.fact_loan_month",
            "numerator:\n  table: dm.dim_party",
            14,
            "numerator.table: there is no 'dm.dim_party'; there are: dm.fact_decision, dm.fact_loan_month, "
            "dm.fact_loan_outcome, dm.fact_loan_transaction",
        ),
        (
            "why: It is said so.",
            "why: It is said so.\nadds_up: no",
            1,
            "reason: say why its rows do not add up",
        ),
        (
            "why: It is said so.",
            "why: It is said so.\nreason: None.",
            7,
            "reason: it is for a KPI that does not add up; say `adds_up: no`",
        ),
        (
            "why: It is said so.",
            "why: It is said so.\nadds_up: 1",
            7,
            "adds_up: input should be a valid boolean",
        ),
        (
            "  sum: outstanding_principal\n  columns: [loan_id, application_id]",
            "  sum: outstanding_principal\n  exists:\n"
            "    - {table: dm.fact_decision, same: loan_hk, where: score is null}\n"
            "  columns: [loan_id, application_id]",
            18,
            "numerator.exists[0].same: dm.fact_decision and dm.fact_loan_month have no 'loan_hk'",
        ),
        ("id: par_30", "id: par_30\n  x: [", 2, "it is not YAML: mapping values are not allowed here"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in VALID
    path = tmp_path / "par_30.yaml"
    path.write_text(VALID.replace(old, new, 1))
    with pytest.raises(InvalidCatalogue) as raised:
        read_kpi(path)
    assert f"{path}:{line}: {message}" in str(raised.value).splitlines()


def test_a_file_is_named_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "par_31.yaml"
    path.write_text(VALID)
    with pytest.raises(
        InvalidCatalogue, match=r"par_31.yaml:1: id: 'par_30' must be the file's name, 'par_31'"
    ):
        read_kpi(path)


def test_all_faults_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "par_30.yaml").write_text(
        VALID.replace("unit: ratio", "unit: euros").replace("grains: [as_of]", "grains: []")
    )
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(InvalidCatalogue) as raised:
        read_catalogue(tmp_path)
    told = str(raised.value).splitlines()
    assert [line.partition(": ")[0].removeprefix(f"{tmp_path}/") for line in told] == [
        "list.yaml:1",
        "par_30.yaml:2",
        "par_30.yaml:10",
    ]


def test_a_folder_without_files_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match="there is no"):
        read_catalogue(tmp_path)


def test_a_valid_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "par_30.yaml").write_text(VALID)
    kpi = read_catalogue(tmp_path).kpis["par_30"]
    assert kpi.thresholds is not None
    assert kpi.thresholds.bad == Decimal("0.15")
    assert set(kpi.parts) == {"numerator", "denominator"}

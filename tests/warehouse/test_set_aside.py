"""One bad row stops nothing: it is set aside and counted, all others go on, and a correction at the source heals it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.loader.status import read_status
from services.loader.warehouse import Warehouse as Connection
from tests.conftest import Database
from tests.warehouse.conftest import Change, Warehouse, in_turn
from tests.warehouse.forks import Forks
from tests.warehouse.misfits import (
    IMAGE,
    ROW_KEY,
    SECRET,
    TARGETS,
    Misfit,
    lake_flow,
    misfits,
)
from tests.warehouse.portfolio import identifier

# The fixtures build a warehouse several times, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)

TABLES = sorted(TARGETS)
OF_UNKNOWN_RISK = "CAR"
"""A product whose parameters cannot be read."""
LATER = 10**9
"""Positions behind all others."""


def key(*names: str) -> str:
    """The key of a row as the journal writes it."""
    return json.dumps([str(name) for name in names], separators=(",", ":"))


def things() -> dict[str, str]:
    """For each table the key of a row of which everything that was ever said is spoilt, each of another loan."""
    application = {number: str(identifier(f"application generated {number}")) for number in range(10)}
    return {
        "party": key(str(identifier("party generated 0"))),
        "application": key(application[1]),
        "application_version": key(application[2], "1"),
        "application_event": key(str(identifier(f"event {application[3]} 1 SUBMITTED"))),
        "decision": key(str(identifier(f"decision {application[4]} 1"))),
        "loan": key(str(identifier("loan generated 5"))),
        "instalment": key(str(identifier("loan generated 6")), "1"),
        "loan_transaction": key(str(identifier("transaction generated 7 disbursement"))),
        "loan_classification": key(str(identifier("classification unlikely"))),
        "application_party": key(application[8], str(identifier("party generated 8")), "borrower"),
    }


EXTRA: dict[str, dict[str, Any]] = {
    "document": {
        "id": str(identifier("document")),
        "application_id": str(identifier("application generated 0")),
        "kind": "payslip",
        "file_name": "payslip.pdf",
        "media_type": "application/pdf",
        "size_bytes": "1",
        "sha256": "ab" * 32,
        "object_key": "k",
        "uploaded_by": str(identifier("maker")),
        "uploaded_at": "2026-01-01T00:00:00",
    },
    "application_version_party": {
        "application_id": str(identifier("application generated 0")),
        "version": "1",
        "party_id": str(identifier("party generated 0")),
        "role": "borrower",
        "kind": "person",
        "full_name": "Q",
        "birth_date": None,
        "national_id": None,
        "party_revision": "1",
        "origin": "submitted",
    },
    "bureau_report": {
        "id": str(identifier("report")),
        "application_id": str(identifier("application generated 0")),
        "party_id": str(identifier("party generated 0")),
        "provider": "bureau",
        "raw_response": "{}",
        "received_at": "2026-01-01T00:00:00",
    },
}
"""Tables of which the portfolio has no row."""
IN_NO_NUMBER = ("approval_band", "decision", "servicing_band", "loan_proposal")
"""Bands, single decisions and proposals are in no number, as are the tables without a row."""


@dataclass
class Troubled:
    """A warehouse through its troubles, and what it said at each step."""

    warehouse: Warehouse
    planted: dict[str, list[tuple[int, Misfit]]]
    landed: dict[str, int]
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)
    kpis: list[dict[str, Any]] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    leaked: list[str] = field(default_factory=list)
    loans: set[str] = field(default_factory=set)
    without_risk: dict[str, bool] = field(default_factory=dict)
    healed: dict[str, str] = field(default_factory=dict)
    shown_healed: dict[str, int] = field(default_factory=dict)


KPIS = (
    "SELECT as_of_date, grain, period_start, kpi, currency, dimension, member, numerator, denominator, value "
    "FROM ap.kpi ORDER BY 1, 2, 3, 4, 5, 6, 7"
)


async def shown(warehouse: Warehouse) -> dict[str, int]:
    """What the loader's status shows of each table."""
    opened = Connection.open(warehouse.database.url("loader"), service="test", pool_size=1)
    try:
        (status,) = await read_status(opened, {"lake": lake_flow()})
    finally:
        await opened.dispose()
    return {table.removeprefix("credit_"): rows for table, rows in status.set_aside.items()}


@pytest.fixture(scope="module")
async def troubled(
    changes: Sequence[Change],
    warehouse_template: Database,
    tmp_path_factory: pytest.TempPathFactory,
    forks: Forks,
    parsed: Path,
) -> AsyncIterator[Troubled]:
    """Bad from the first, bad by an update in every way there is, then corrected; each build with the tests of data."""
    spoilt = things()
    booked = key(str(identifier("loan generated 9")))
    products = [
        json.loads(values[IMAGE])["product_code"]
        for table, values in changes
        if table == "loan" and values[ROW_KEY] == booked
    ]
    spoilt["product"] = key(products[0])
    # Of another product every row of its parameters.
    spoilt["product_parameters"] = next(
        values[ROW_KEY]
        for table, values in changes
        if table == "product_parameters" and json.loads(values[ROW_KEY])[0] == OF_UNKNOWN_RISK
    )
    assert products[0] != OF_UNKNOWN_RISK
    extra: list[Change] = [
        (
            table,
            (
                LATER - number,
                0,
                "c",
                key(*(str(image[name]) for name in TARGETS[table].keys)),
                json.dumps(image),
                None,
                "test",
                None,
                changes[-1][1][-1],
            ),
        )
        for number, (table, image) in enumerate(EXTRA.items(), 1)
    ]
    everything = [*changes, *extra]
    for name in ("approval_band", "servicing_band", "loan_proposal"):
        spoilt[name] = next(values[ROW_KEY] for table, values in everything if table == name)
    spoilt |= dict.fromkeys(EXTRA, "")  # no second row of these: only updates are spoilt
    last = {(table, json.dumps(json.loads(values[ROW_KEY]))): (table, values) for table, values in everything}
    gone = {table: json.dumps(json.loads(text)) for table, text in spoilt.items() if text}

    # All that was ever said of one thing of each table cannot be read.
    first: list[Change] = []
    for table, values in everything:
        if json.dumps(json.loads(values[ROW_KEY])) == gone.get(table):
            first.append((table, (*values[:IMAGE], values[IMAGE][:-1], *values[IMAGE + 1 :])))
        else:
            first.append((table, values))

    # And every way to spoil a row is tried as an update of another one.
    planted: dict[str, list[tuple[int, Misfit]]] = {table: [] for table in TABLES}
    second: list[Change] = []
    corrections: list[Change] = []
    position = LATER
    for table in TABLES:
        _, model = next(
            one
            for (name, text), one in last.items()
            if name == table and text != gone.get(table) and one[1][IMAGE]
        )
        for misfit in misfits(table, model[ROW_KEY], json.loads(model[IMAGE])):
            position += 1
            planted[table].append((position, misfit))
            second.append((table, (position, 0, "u", misfit.row_key, misfit.image, *model[IMAGE + 1 :])))
            if misfit.column in TARGETS[table].keys:
                # What has an impossible key is not corrected but deleted.
                corrections.append(
                    (table, (position + LATER, 0, "d", misfit.row_key, None, *model[IMAGE + 1 :]))
                )
        corrections.append((table, (position + LATER + 1, 0, "u", *model[ROW_KEY:])))
        if table in gone:
            healing = last[table, gone[table]][1]
            corrections.append((table, (position + LATER + 2, 0, "u", *healing[ROW_KEY:])))
    async with in_turn(warehouse_template, tmp_path_factory.mktemp("dbt"), forks, parsed) as warehouse:
        await warehouse.land(first)
        await warehouse.build()
        await warehouse.land(second)
        await warehouse.build()
        landed = {table: sum(one[0] == table for one in [*first, *second]) for table in TABLES}
        found = Troubled(warehouse, planted, landed)
        found.quarantine = await warehouse.rows("SELECT * FROM ods.quarantine")
        found.missing = await warehouse.rows("SELECT * FROM ap.missing_rows")
        found.kpis = await warehouse.rows("SELECT kpi, model, missing_rows FROM ap.kpi")
        for table in TABLES:
            (row,) = await warehouse.rows(
                f"SELECT count(*) AS all, count(*) FILTER (WHERE fault_rule IS NULL) AS taken FROM ods.credit_{table}"
            )
            assert row["all"] == landed[table], "nothing is lost"
            found.taken[table] = row["taken"]
        found.loans = {
            row["loan_id"]
            for row in await warehouse.rows(
                "SELECT loan_id FROM dm.fact_loan_month WHERE snapshot_kind = 'as_of'"
            )
        }
        found.without_risk = {
            row["product_code"]: row["unknown"]
            for row in await warehouse.rows(
                "SELECT product_code, bool_and(probability_of_default IS NULL) AS unknown FROM dm.fact_loan_month "
                "WHERE snapshot_kind = 'as_of' AND status = 'open' GROUP BY product_code"
            )
        }
        found.shown = await shown(warehouse)
        texts = [path.read_text(errors="replace") for path in warehouse.folder.rglob("*.log")]
        texts += [path.read_text() for path in warehouse.folder.rglob("run_results.json")]
        texts += [str(row["masked_value"]) for row in found.quarantine]
        found.leaked = [text for text in texts if SECRET in text]

        await warehouse.land(corrections)
        await warehouse.build()
        found.healed = await warehouse.checksums("dm", "ap")
        found.shown_healed = await shown(warehouse)
        yield found


@pytest.mark.parametrize("table", TABLES)
async def test_every_row_that_breaks_a_rule_is_set_aside_and_no_other(troubled: Troubled, table: str) -> None:
    rows = {
        row["position_major"]: row for row in troubled.quarantine if row["table_name"] == f"credit_{table}"
    }
    for position, misfit in troubled.planted[table]:
        assert position in rows, misfit
        assert rows[position]["column_name"] == misfit.column, misfit
        assert rows[position]["row_key"] == misfit.row_key
        assert rows[position]["broken_rule"]
    before = len(rows) - len(troubled.planted[table])
    assert before == (0 if table in EXTRA else sum(1 for p in rows if p < LATER))
    assert (before > 0) == (table not in EXTRA)
    assert troubled.taken[table] == troubled.landed[table] - len(rows)
    assert troubled.taken[table] > 0


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_set_aside_is_counted_and_shown(troubled: Troubled, table: str) -> None:
    keys = {row["row_key"] for row in troubled.quarantine if row["table_name"] == f"credit_{table}"}
    assert troubled.shown[table] == len(keys)
    counted = [
        row["missing_rows"]
        for row in troubled.missing
        if row["source_table"] == f"credit_{table}" and row["reason"] == "set aside"
    ]
    assert set(counted) == (set() if table in {*EXTRA, *IN_NO_NUMBER} else {len(keys)})


async def test_no_value_is_shown(troubled: Troubled) -> None:
    assert troubled.leaked == []


async def test_each_kpi_says_how_many_rows_are_missing(troubled: Troubled) -> None:
    by_model: dict[str, int] = {}
    for row in troubled.missing:
        by_model[row["model"]] = by_model.get(row["model"], 0) + row["missing_rows"]
    assert len(troubled.kpis) > 100
    assert {row["model"] for row in troubled.kpis} >= {
        "kpi_decision",
        "kpi_portfolio",
        "kpi_flow",
        "expected_loss",
    }
    for row in troubled.kpis:
        assert row["missing_rows"] == by_model[row["model"]] > 0, row
    behind = {
        (row["source_table"], row["reason"]) for row in troubled.missing if row["model"] == "kpi_portfolio"
    }
    assert behind >= {("credit_loan", "set aside"), ("credit_instalment", "parent set aside")}


async def test_facts_leave_out_what_cannot_be_told_and_keep_the_rest(troubled: Troubled) -> None:
    def loan(number: int) -> str:
        return str(identifier(f"loan generated {number}"))

    # Nothing is known of this loan, of this one's product, and of that one's disbursement.
    assert troubled.loans.isdisjoint({loan(5), loan(9), loan(7)})
    # Of these the borrower or the application is not known, or an instalment is missing: the money is there.
    of_other_products = {loan(0), loan(1), loan(6)} & troubled.loans
    assert of_other_products, "loans whose parents are only named stay"
    assert len(troubled.loans) > 5


async def test_loans_of_unknown_risk_stay_and_are_counted(troubled: Troubled) -> None:
    assert [code for code, unknown in troubled.without_risk.items() if unknown] == [OF_UNKNOWN_RISK]
    assert "loans_without_parameters" in {row["kpi"] for row in troubled.kpis}


async def test_a_correction_heals_everything(troubled: Troubled, built: Warehouse) -> None:
    assert set(troubled.shown_healed.values()) == {0}
    open_entries = await troubled.warehouse.rows("SELECT * FROM ods.quarantine WHERE resolved_at IS NULL")
    assert open_entries == []
    assert await troubled.warehouse.rows("SELECT * FROM ap.missing_rows") == []
    assert await troubled.warehouse.rows(KPIS) == await built.rows(KPIS)
    rows = await troubled.warehouse.rows("SELECT DISTINCT missing_rows FROM ap.kpi")
    assert rows == [{"missing_rows": 0}]


async def test_healed_by_increments_is_as_rebuilt(troubled: Troubled) -> None:
    await troubled.warehouse.models("--full-refresh")
    assert await troubled.warehouse.checksums("dm", "ap") == troubled.healed
    (row,) = await troubled.warehouse.rows(
        "SELECT count(*) AS open FROM ods.quarantine WHERE resolved_at IS NULL"
    )
    assert row["open"] == 0

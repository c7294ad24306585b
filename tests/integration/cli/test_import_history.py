"""`creditmesh import history` into a real lake: once, however often it is run or killed."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.cli.history.rows import identifier
from services.platform.components.mesh import inherited
from services.platform.settings import ROOT
from tests.conftest import Database
from tests.integration.lending import Lending
from tests.unit.cli.sample_history import (
    Rows,
    classification,
    event,
    loan,
    parameters,
    small,
    transaction,
    version,
    write,
)

COUNTS = {
    "party": 2,
    "application": 2,
    "application_party": 3,
    "application_version": 2,
    "application_version_party": 3,
    "application_event": 7,
    "decision": 2,
    "loan": 1,
    "instalment": 2,
    "loan_transaction": 4,
    "loan_classification": 0,
}


@dataclass
class Ended:
    """How the command ended, and what it said."""

    status: int | None
    output: str


async def started(lake: Database, folder: Path, *options: str) -> asyncio.subprocess.Process:
    """Start the command as people do."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", "import", "history", str(folder), *options),
        cwd=ROOT,
        env=inherited() | {"LAKE_URL": lake.url("importer"), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def imported(lake: Database, folder: Path, *options: str) -> Ended:
    """Run the command to its end."""
    process = await started(lake, folder, *options)
    output, _ = await process.communicate()
    return Ended(process.returncode, output.decode())


async def counts(lake: Database) -> dict[str, int]:
    """How many imported rows each table has, products and bands left out."""
    async with lake.connect() as connection:
        return {table: await connection.fetchval(f"SELECT count(*) FROM credit.{table}") for table in COUNTS}


async def journalled(lake: Database) -> int:
    """How many changes the import has captured."""
    async with lake.connect() as connection:
        return int(
            await connection.fetchval("SELECT count(*) FROM journal.change WHERE actor = 'history-import'")
        )


async def test_a_history_is_imported_once_however_often_its_files_are_sent(
    fresh_lake: Database, tmp_path: Path
) -> None:
    folder = write(small(), tmp_path / "files")
    first = await imported(fresh_lake, folder)
    assert first.status == 0, first.output
    assert await counts(fresh_lake) == COUNTS
    assert await journalled(fresh_lake) == sum(COUNTS.values())
    assert "no row refused" in first.output
    assert "unknown, and left out of the KPIs that need them: 1 deciders, 1 scores" in first.output
    async with fresh_lake.connect() as connection:
        row = await connection.fetchrow(
            "SELECT id, state, migrated, created_at, decided_at FROM credit.application WHERE external_ref = 'A1'"
        )
        assert row is not None
        assert (row["id"], row["state"], row["migrated"]) == (identifier("application", "A1"), "BOOKED", True)
        assert (str(row["created_at"]), str(row["decided_at"])) == (
            "2024-01-10 09:00:00",
            "2024-01-10 12:00:00",
        )
    second = await imported(fresh_lake, folder)
    assert second.status == 0, second.output
    assert "rows added" not in second.output
    assert await counts(fresh_lake) == COUNTS
    assert await journalled(fresh_lake) == sum(COUNTS.values())


async def test_what_a_loan_is_comes_with_its_row_since_a_day_where_the_bank_knows_it(
    fresh_lake: Database, tmp_path: Path
) -> None:
    rows = small()
    rows["loans"][0] |= {"defaulted": "true", "defaulted_on": "2024-03-01", "restructured": "true"}
    ended = await imported(fresh_lake, write(rows, tmp_path / "files"))
    assert ended.status == 0, ended.output
    async with fresh_lake.connect() as connection:
        found = await connection.fetch(
            "SELECT classification, effective_from, effective_to, migrated, proposal_id"
            " FROM credit.loan_classification ORDER BY classification"
        )
    assert [tuple(row) for row in found] == [
        ("default", date(2024, 3, 1), None, True, None),
        ("restructured", None, None, True, None),
    ]


async def test_later_files_add_to_what_is_there_by_the_banks_numbers(
    fresh_lake: Database, tmp_path: Path
) -> None:
    assert (await imported(fresh_lake, write(small(), tmp_path / "first"))).status == 0
    later: Rows = {
        "applications": [{"external_ref": "A3", "borrower_ref": "P1"}],
        "versions": [version("A3", submitted_at="2024-05-01T09:00:00Z")],
        "events": [event("A3", "SUBMITTED", "2024-05-01T09:00:00Z")],
        "transactions": [transaction("T5", kind="payment", amount="602.50", effective_on="2024-03-15")],
        "classifications": [classification("default", "2024-02-20", "2024-03-15")],
    }
    ended = await imported(fresh_lake, write(later, tmp_path / "later"))
    assert ended.status == 0, ended.output
    added = dict.fromkeys(COUNTS, 0) | dict.fromkeys(
        ("application", "application_party", "application_version", "application_version_party"), 1
    )
    added |= {"application_event": 1, "loan_transaction": 1, "loan_classification": 1}
    assert await counts(fresh_lake) == {name: count + added[name] for name, count in COUNTS.items()}


async def test_products_come_with_their_parameters_by_day(fresh_lake: Database, tmp_path: Path) -> None:
    limits = {"min_amount": "1", "max_amount": "9", "min_term_months": "1", "max_term_months": "9"}
    rows: Rows = {
        "products": [{"code": "HOME", "name": "Home loan", "currency": "DEM", **limits}],
        "product_parameters": [
            parameters("HOME", "2020-01-01"),
            parameters("HOME", "2022-07-01", interest_rate="0.06"),
            # What the lake has stays as it is.
            parameters("CAR", "1900-01-01", interest_rate="0.99"),
        ],
    }
    for _ in range(2):
        ended = await imported(fresh_lake, write(rows, tmp_path / "files"))
        assert ended.status == 0, ended.output
    async with fresh_lake.connect() as connection:
        found = await connection.fetch(
            "SELECT product_code, valid_from, interest_rate FROM credit.product_parameters "
            "WHERE product_code IN ('HOME', 'CAR') ORDER BY 1, 2"
        )
    assert [tuple(map(str, row)) for row in found] == [
        ("CAR", "1900-01-01", "0.069000"),
        ("HOME", "2020-01-01", "0.050000"),
        ("HOME", "2022-07-01", "0.060000"),
    ]
    assert await journalled(fresh_lake) == 3


async def test_a_dry_run_reports_every_refused_row_and_writes_nothing(
    fresh_lake: Database, tmp_path: Path
) -> None:
    rows = small()
    rows["parties"][0] |= {"email": "Secret Name"}
    ended = await imported(
        fresh_lake, write(rows, tmp_path / "files"), "--dry-run", "--report", str(tmp_path)
    )
    assert ended.status == 1
    assert "Secret" not in ended.output
    report = (tmp_path / "refused.csv").read_text()
    assert "parties,2,email,is no address of e-mail\n" in report
    assert report.count("\n") == 17
    assert await journalled(fresh_lake) == 0
    # Without the dry run all others go on.
    ended = await imported(fresh_lake, tmp_path / "files")
    assert ended.status == 1
    found = await counts(fresh_lake)
    assert (found["party"], found["application"], found["loan"]) == (1, 1, 0)


def large(applications: int) -> Rows:
    """A history of many booked applications with a payment each."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in small()}
    for number in range(applications):
        ref, party, lent = f"A{number}", f"P{number}", f"L{number}"
        rows["parties"].append({"external_ref": party, "kind": "person", "full_name": f"Ánh {number}"})
        rows["applications"].append({"external_ref": ref, "borrower_ref": party})
        rows["versions"].append(version(ref, submitted_at="2024-01-10T09:00:00Z", score="500"))
        rows["events"] += [
            event(ref, state, f"2024-01-10T{hour:02}:00:00Z")
            for hour, state in enumerate(("SUBMITTED", "IN_REVIEW", "APPROVED", "BOOKED"), start=9)
        ]
        rows["loans"].append(loan(lent, ref, booked_at="2024-01-10T12:00:00Z"))
        rows["instalments"].append(
            {"loan_ref": lent, "number": "1", "due_on": "2024-02-10", "principal": "1200", "interest": "5"}
        )
        rows["transactions"] += [
            transaction("T1", loan_ref=lent, kind="disbursement", amount="1200", effective_on="2024-01-10"),
            transaction("T2", loan_ref=lent, kind="payment", amount="100", effective_on="2024-02-10"),
        ]
    return {name: lines for name, lines in rows.items() if lines}


async def test_an_import_that_is_killed_goes_on_where_it_was(fresh_lake: Database, tmp_path: Path) -> None:
    folder = write(large(3000), tmp_path / "files", ".ndjson")
    process = await started(fresh_lake, folder)
    while not (await counts(fresh_lake))["application"]:
        assert process.returncode is None, "it ended before it could be killed"
        await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    found = await counts(fresh_lake)
    async with fresh_lake.connect() as connection:
        # An application is there with all that belongs to it, or not at all.
        assert found["application_event"] == 4 * found["application"]
        assert found["loan"] == found["application"] == found["application_version"]
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'importer'"
        )
    ended = await imported(fresh_lake, folder)
    assert ended.status == 0, ended.output
    whole = dict.fromkeys(COUNTS, 0) | dict.fromkeys(
        ("party", "application", "application_party", "application_version", "application_version_party"),
        3000,
    )
    whole |= {"application_event": 12_000, "loan_transaction": 6000, "loan": 3000, "instalment": 3000}
    assert await counts(fresh_lake) == whole
    assert await journalled(fresh_lake) == sum((await counts(fresh_lake)).values())
    assert re.search(r"[\d,]+ rows added in [\d.]+ s, [\d,]+ a second", ended.output)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit.application SET state = 'APPROVED'",
        "DELETE FROM credit.loan_transaction",
        "INSERT INTO journal.change (table_name) VALUES ('x')",
        "INSERT INTO credit.approval_band (band) VALUES ('x')",
        "SELECT 1 FROM intake.idempotency_key",
    ],
)
async def test_the_imports_login_adds_and_does_nothing_else(lake: Database, statement: str) -> None:
    async with lake.connect("importer") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize(
    ("table", "column"),
    [("application_version", "score"), ("application_event", "actor"), ("decision", "decided_by")],
)
async def test_only_an_imported_row_may_lack_what_nobody_knows(
    fresh_lake: Database, tmp_path: Path, table: str, column: str
) -> None:
    assert (await imported(fresh_lake, write(small(), tmp_path / "files"))).status == 0
    async with fresh_lake.connect() as connection:
        await connection.execute(f"UPDATE credit.{table} SET {column} = NULL WHERE migrated = true")
        with pytest.raises(asyncpg.CheckViolationError, match="_known"):
            await connection.execute(f"UPDATE credit.{table} SET migrated = false, {column} = NULL")


async def test_what_is_imported_is_shown_decided_and_serviced(lending: Lending, tmp_path: Path) -> None:
    rows = small()
    rows["transactions"][0].pop("effective_on")
    rows["applications"].append({"external_ref": "A4", "borrower_ref": "P1"})
    rows["versions"].append(version("A4", submitted_at="2024-06-01T09:00:00Z"))
    rows["events"].append(event("A4", "SUBMITTED", "2024-06-01T09:00:00Z"))
    ended = await imported(lending.lake, write(rows, tmp_path / "files"))
    assert ended.status == 0, ended.output
    auditor, officer, servicing = lending.user("auditor"), lending.user("officer"), lending.user("servicing")
    for ref in ("A1", "A2", "A4"):
        one = identifier("application", ref)
        shown = await lending.search.get(f"/applications/{one}?source=lake", headers=auditor.headers)
        assert shown.status_code == 200, shown.text
        reviewed = await lending.approval.get(f"/applications/{one}", headers=officer.headers)
        assert reviewed.status_code == 200, reviewed.text
        made = await lending.intake.get(f"/applications/{one}", headers=auditor.headers)
        assert made.status_code in {403, 404, 409}, made.text
    queue = await lending.approval.get("/queue", headers=officer.headers)
    assert [item["score"] for item in queue.json()["items"]] == [None]
    decided = await lending.approval.post(
        f"/applications/{identifier('application', 'A4')}/decisions",
        json={"outcome": "approve"},
        headers={**officer.headers, "If-Match": '"1"'},
    )
    assert decided.status_code == 200, decided.text
    lent = f"/loans/{identifier('loan', 'L1')}"
    found = await lending.intake.get(lent, headers=servicing.headers)
    assert found.status_code == 200, found.text
    assert found.json()["value_date"] == "2024-01-15"
    listed = await lending.intake.get("/loans", headers=servicing.headers)
    assert listed.status_code == 200, listed.text
    paid = await lending.intake.post(
        f"{lent}/transactions",
        json={"kind": "payment", "amount": "1.00", "currency": "DEM"},
        headers={**servicing.headers, "Idempotency-Key": "one"},
    )
    assert paid.status_code == 201, paid.text

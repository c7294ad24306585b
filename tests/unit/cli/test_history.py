"""A history is checked row by row: faulty rows are reported, valid rows are kept."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from services.approval.domain import ReasonCode
from services.cli.history.entities import ENTITIES, REASONS
from services.cli.history.files import FilesUnusable, find
from services.cli.history.history import History, Known
from services.cli.history.report import Refusal, Report
from services.cli.history.rows import NOBODY_KNOWN, application_rows, identifier
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

KNOWN_PRODUCTS = {"CONSUMER": "DEM"}


def checked(rows: Rows, folder: Path, suffix: str = ".csv") -> tuple[History, Report]:
    """Write files, check them as a whole."""
    report = Report()
    files = find(write(rows, folder, suffix))
    history = History(files, Known(products=KNOWN_PRODUCTS), report, lambda _: None)
    history.check()
    report.added["instalments"] = len(list(history.instalments()))
    report.added["transactions"] = len(list(history.transactions()))
    return history, report


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
def test_every_format_gives_the_same_sound_rows(tmp_path: Path, suffix: str) -> None:
    history, report = checked(small(), tmp_path / "files", suffix)
    assert report.refusals == []
    assert report.read == {name: len(lines) for name, lines in small().items()}
    assert (report.added["instalments"], report.added["transactions"]) == (2, 4)
    one, two = history.sound()
    rows = list(application_rows(one))
    assert [table for table, _ in rows].count("application_event") == 4
    (application,) = [row for table, row in rows if table == "application"]
    assert (application["state"], application["current_version"], application["migrated"]) == (
        "BOOKED",
        1,
        True,
    )
    assert application["decided_at"].isoformat() == "2024-01-10T12:00:00+00:00"
    (decided,) = [row for table, row in application_rows(two) if table == "decision"]
    assert (decided["decided_by"], decided["maker"]) == (None, NOBODY_KNOWN)
    assert report.unknown == {"scores": 1, "deciders": 1}


def test_the_same_number_gives_the_same_identifier_and_no_other_does() -> None:
    assert identifier("party", "1") == identifier("party", "1")
    made = {
        identifier("party", "1"),
        identifier("loan", "1"),
        identifier("party", "1", "2"),
        identifier("party", "12"),
    }
    assert len(made) == 4


def changed(entity: str, line: int, **values: Any) -> Rows:
    """The small history with one row changed; None takes a value out."""
    rows = small()
    row = rows[entity][line - 1] | values
    rows[entity][line - 1] = {name: value for name, value in row.items() if value is not None}
    return rows


@pytest.mark.parametrize(
    ("entity", "line", "column", "value", "reason"),
    [
        ("parties", 1, "birth_date", "0", "is no day written YYYY-MM-DD"),
        ("parties", 1, "birth_date", "29.02.1980", "is no day written YYYY-MM-DD"),
        ("parties", 1, "birth_date", "1981-02-29", "is no day of the calendar"),
        ("parties", 1, "birth_date", "2999-01-01", "is in the future"),
        ("parties", 2, "birth_date", "1980-01-01", "an organisation has none"),
        ("parties", 1, "full_name", "Secret\u202eName", "holds a control, formatting or invisible character"),
        ("parties", 1, "full_name", "x" * 201, "has more than 200 characters"),
        ("parties", 1, "email", "Secret Name", "is no address of e-mail"),
        (
            "parties",
            1,
            "external_ref",
            " P1",
            "is no number of 1 to 64 printable ASCII characters without blanks",
        ),
        ("versions", 1, "amount", "1,200.00", "is no number in digits with a decimal point"),
        ("versions", 1, "amount", "1e3", "is no number in digits with a decimal point"),
        ("versions", 1, "amount", "\uff11\uff12", "is no number in digits with a decimal point"),
        ("versions", 1, "amount", "0", "is not within 0.0001 and"),
        ("versions", 1, "amount", "0.001", "DEM has at most 2 decimals"),
        ("versions", 1, "currency", "EUR", "is not the currency of the product"),
        ("versions", 1, "product_code", "NONE", "is no product of the files or the lake"),
        ("versions", 1, "profile", "[]", "is no JSON object"),
        ("events", 2, "occurred_at", "2024-01-10T11:00:00", "is no instant written"),
        ("events", 2, "occurred_at", "2024-01-10T25:00:00Z", "is no instant of the calendar"),
        ("events", 2, "to_state", "BOOKED", "does not follow SUBMITTED"),
        ("events", 1, "to_state", "APPROVED", "a history begins with DRAFT or SUBMITTED"),
        ("decisions", 1, "decided_by", "clerk 7", "is the maker of the version"),
        ("decisions", 2, "reason_code", None, "is mandatory unless approved"),
        ("decisions", 2, "version", "2", "there is no such version"),
        ("loans", 1, "currency", "EUR", "is not the currency of the version"),
        ("loans", 1, "principal", "12.345", "DEM has at most 2 decimals"),
        ("loans", 1, "defaulted", "maybe", "is neither true nor false"),
        ("loans", 1, "defaulted_on", "2024-02-01", "has a day, and defaulted is not true"),
        ("instalments", 2, "number", "1", "this instalment was there before"),
        ("instalments", 2, "principal", "600.01", "the schedule repays more than the loan's principal"),
        ("instalments", 2, "interest", "0.001", "DEM has at most 2 decimals"),
        ("transactions", 1, "amount", "1200.01", "more is disbursed than the loan's principal"),
        ("transactions", 2, "effective_on", None, "may be unknown of a disbursement alone"),
        ("transactions", 2, "currency", "EUR", "is not the currency of the loan"),
        ("transactions", 2, "external_ref", "T1", "this transaction was there before"),
        ("transactions", 3, "reverses_ref", "T2", "is named by a reversal, and by nothing else"),
        ("transactions", 4, "reverses_ref", "T9", "names no transaction of this loan before it"),
        ("transactions", 4, "amount", "9", "is not that of what it reverses"),
        (
            "transactions",
            2,
            "amount",
            "999999999999999.99",
            "more is paid than principal, interest and the tolerance",
        ),
        ("transactions", 2, "amount", "1387.51", "more is paid than principal, interest and the tolerance"),
        ("transactions", 2, "effective_on", "2024-01-14", "is before the loan's first disbursement"),
        ("transactions", 1, "kind", "payment", "comes before anything of the loan is disbursed"),
    ],
)
def test_a_row_at_fault_is_refused_by_line_column_and_reason_without_its_value(  # noqa: PLR0917 - a case
    tmp_path: Path, entity: str, line: int, column: str, value: Any, reason: str
) -> None:
    _, report = checked(changed(entity, line, **{column: value}), tmp_path / "files")
    # The first line of a CSV names the columns.
    found = [
        each
        for each in report.refusals
        if (each.entity, each.line, each.column) == (entity, line + 1, column)
    ]
    assert [each.reason for each in found if each.reason.startswith(reason)], report.refusals
    written = report.write(tmp_path).read_text()
    assert "Secret" not in written
    with (tmp_path / "refused.csv").open(newline="") as file:
        assert [Refusal(e, int(n), c, r) for e, n, c, r in list(csv.reader(file))[1:]] == sorted(
            report.refusals
        )


SECOND = version("A1", version="2", submitted_at="2024-01-11T00:00Z")
ORPHAN = transaction("T9", kind="disbursement", amount="1", loan_ref="L9", effective_on="2024-01-15")


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        ((("write-off", "1200.01"),), "more is written off than was disbursed"),
        ((("write-off", "300"), ("recovery", "300.01")), "more is recovered than was written off"),
        (
            (("write-off", "300"), ("recovery", "200"), ("recovery", "101")),
            "more is recovered than was written off",
        ),
        ((("recovery", "1"),), "more is recovered than was written off"),
        (
            (("payment", "1300"), ("payment", "87.51")),
            "more is paid than principal, interest and the tolerance",
        ),
        ((("write-off", "1200"), ("recovery", "1200"), ("payment", "1387.50")), None),
    ],
)
def test_what_is_paid_written_off_and_recovered_is_bounded(
    tmp_path: Path, amounts: tuple[tuple[str, str], ...], reason: str | None
) -> None:
    rows = small()
    rows["transactions"] = rows["transactions"][:1] + [
        transaction(f"M{number}", kind=kind, amount=amount, effective_on="2024-03-01")
        for number, (kind, amount) in enumerate(amounts)
    ]
    _, report = checked(rows, tmp_path / "files")
    found = [(each.line, each.column, each.reason) for each in report.refusals]
    if reason is None:
        assert found == []
    else:
        ((line, column, said),) = found
        assert (line, column) == (2 + len(amounts), "amount")
        assert said.startswith(reason)


def test_children_of_a_refused_row_are_refused_and_all_others_go_on(tmp_path: Path) -> None:
    history, report = checked(changed("parties", 1, kind="robot"), tmp_path / "files")
    reasons = {(each.entity, each.line): each.reason for each in report.refusals}
    assert reasons["applications", 2] == "its parent, the party in line 2 of parties, was refused"
    for place in (
        ("versions", 2),
        ("events", 2),
        ("events", 5),
        ("decisions", 2),
        ("loans", 2),
        ("participants", 2),
    ):
        assert reasons[place] == "its parent, the application in line 2 of applications, was refused", place
    for place in (("instalments", 2), ("transactions", 5)):
        assert reasons[place] == "its parent, the loan in line 2 of loans, was refused", place
    assert [one.row.values["external_ref"] for one in history.sound()] == ["A2"]
    assert report.refused["parties"] == 1
    assert report.refused["events"] == 4


def test_an_application_is_taken_with_all_of_its_rows_or_not_at_all(tmp_path: Path) -> None:
    history, report = checked(changed("events", 2, occurred_at="never"), tmp_path / "files")
    assert [one.row.values["external_ref"] for one in history.sound()] == ["A2"]
    assert Refusal("applications", 2, "", "a row of it was refused: line 3 of events") in report.refusals
    assert {each.entity for each in report.refusals} == {
        *("applications", "participants", "versions", "events", "decisions", "loans"),
        *("instalments", "transactions"),
    }


@pytest.mark.parametrize(
    ("rows", "place", "reason"),
    [
        ({"applications": small()["applications"]}, ("applications", 2), "it has no event"),
        (
            small()
            | {
                "versions": [
                    *small()["versions"],
                    SECOND,
                ]
            },
            ("applications", 2),
            "its events submit it 1 times",
        ),
        (
            small() | {"loans": [loan("L1", "A2")]},
            ("loans", 2),
            "the application's events do not end with BOOKED",
        ),
        (
            small() | {"loans": [loan("L1", "A1"), loan("L2", "A1")]},
            ("loans", 3),
            "the application has another loan",
        ),
        (
            small() | {"parties": [*small()["parties"], small()["parties"][0]]},
            ("parties", 4),
            "its key was there before in this file",
        ),
        (
            small() | {"transactions": [ORPHAN]},
            ("transactions", 2),
            "its parent, the loan, is neither in the files nor in the lake",
        ),
        (
            small() | {"events": [*small()["events"], event("A1", "BOOKED", "2024-01-16T10:00:00Z")]},
            ("events", 9),
            "does not follow BOOKED",
        ),
    ],
)
def test_what_contradicts_other_rows_is_refused(
    tmp_path: Path, rows: Rows, place: tuple[str, int], reason: str
) -> None:
    _, report = checked({"parties": small()["parties"]} | rows, tmp_path / "files")
    found = [each.reason for each in report.refusals if (each.entity, each.line) == place]
    assert [each for each in found if each.startswith(reason)], report.refusals


def test_what_is_unknown_is_taken_and_counted(tmp_path: Path) -> None:
    _, report = checked(changed("transactions", 1, effective_on=None), tmp_path / "files")
    assert report.refusals == []
    assert report.unknown == {"scores": 1, "deciders": 1, "disbursement dates": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("clients.csv", "external_ref\n", "clients.csv is of no entity"),
        ("parties.csv", "external_ref,kind,full_name,shoe_size\n", "unknown columns 'shoe_size'"),
        ("parties.csv", "external_ref,kind\n", "missing columns full_name"),
        ("parties.csv", "external_ref,kind,full_name,kind\n", "columns there twice kind"),
        ("parties.csv", b"external_ref,kind,full_name\nP1,person,\xff\n", "is not in UTF-8"),
        ("parties.parquet", "no parquet", "is no Parquet file"),
        ("notes.txt", "", "holds no file of a history"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_import_before_it_begins(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FilesUnusable, match=said):
        History(find(tmp_path), Known(), Report(), lambda _: None).check()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("parties.csv", "external_ref,kind,full_name\nP1,person\nP2,person,Ánh\n"),
        (
            "parties.ndjson",
            '{"external_ref": \n{"external_ref": "P2", "kind": "person", "full_name": "Ánh"}\n',
        ),
        ("parties.ndjson", '["P1"]\n{"external_ref": "P2", "kind": "person", "full_name": "Ánh"}\n'),
    ],
)
def test_a_line_that_cannot_be_taken_apart_is_refused_alone(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    report = Report()
    history = History(find(tmp_path), Known(), report, lambda _: None)
    history.check()
    assert list(history.parties) == ["P2"]
    assert [each.reason for each in report.refusals] == ["is no row of this file's format"]


def test_parameters_of_products_come_with_their_first_day(tmp_path: Path) -> None:
    rows = small()
    rows["product_parameters"] = [
        parameters("CONSUMER", "2020-01-01"),
        parameters("CONSUMER", "2022-07-01", probability_of_default="0.03"),
        parameters("CONSUMER", "2020-01-01"),
        parameters("CONSUMER", "2022-13-01"),
        parameters("CONSUMER", "2023-01-01", loss_given_default="1.5"),
        parameters("NONE", "2020-01-01"),
    ]
    history, report = checked(rows, tmp_path / "files")
    assert [line.line for line in history.parameters.values()] == [2, 3]
    assert {(one.entity, one.line, one.column) for one in report.refusals} == {
        ("product_parameters", 4, ""),
        ("product_parameters", 5, "valid_from"),
        ("product_parameters", 6, "loss_given_default"),
        ("product_parameters", 7, "product_code"),
    }


def test_classifications_of_the_past_have_both_days(tmp_path: Path) -> None:
    rows = small()
    rows["classifications"] = [
        classification("default", "2024-02-20", "2024-03-01"),
        classification("restructured", "2024-02-20", "2024-03-01"),
        classification("default", "2024-02-20", "2024-03-05"),
        classification("default", "2024-04-20", "2024-04-20"),
        classification("written-off", "2024-05-20", "2024-06-20"),
        classification("default", "2024-06-20", ""),
        classification("default", "2024-06-20", "2024-07-20", loan_ref="L9"),
    ]
    history, report = checked(rows, tmp_path / "files")
    assert [line.line for line in history.classifications()] == [2, 3]
    assert {(one.entity, one.line, one.column) for one in report.refusals} == {
        ("classifications", 4, "effective_from"),
        ("classifications", 5, "effective_to"),
        ("classifications", 6, "classification"),
        ("classifications", 7, "effective_to"),
        ("classifications", 8, "loan_ref"),
    }


def test_reasons_are_those_that_approval_knows() -> None:
    assert set(REASONS) == set(ReasonCode)


def test_every_column_says_what_it_takes() -> None:
    for entity in ENTITIES:
        assert set(entity.key) <= entity.by_name.keys()
        for column in entity.columns:
            assert column.takes, f"{entity.name}.{column.name}"
            assert column.meaning or column.name in {"kind", "role", "outcome", "restructured", "defaulted"}

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lake.domain.cells import defused
from services.search.exports.domain import COLUMNS, Format, Outcome, described, head, lines, tail

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    "id": UUID(int=7),
    "amount": Decimal("1169.0000"),
    "purpose": "car (new)",
    "submitted_at": NOON,
    "borrower_name": "Nguyễn Văn Đạt",
    "borrower_birth_date": date(1980, 2, 29),
}
# What is typed into the fields of a form in the hope that somebody opens the file.
INJECTIONS = (
    "=1+1",
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",  # noqa: RUF001 - what is meant
)


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("text", INJECTIONS)
def test_case_17_no_cell_is_a_formula(text: str) -> None:
    (made,) = cells(lines(Format.CSV, [{**ROW, "borrower_name": text, "purpose": text}]))
    assert made[COLUMNS.index("borrower_name")] == f"'{text}"
    assert made[COLUMNS.index("purpose")] == f"'{text}"


@given(
    st.dictionaries(st.sampled_from(("q", "product", "month")), st.text(max_size=20)), st.text(max_size=20)
)
def test_case_17_the_first_line_is_one_line_of_one_cell(filters: dict[str, str], by: str) -> None:
    content = head(Format.CSV, described(list(filters.items())), NOON, by)
    first, names, nothing = content.decode().split("\r\n")
    assert nothing == ""
    assert len(first.splitlines()) == 1
    assert cells(first.encode()) == [[first]]
    assert first.startswith("# filters ")
    assert " as of 2026-11-30T12:00:00Z by" in first
    assert names == ",".join(COLUMNS)


@given(st.text(max_size=30))
def test_a_cell_is_read_as_it_was_written(text: str) -> None:
    (made,) = cells(lines(Format.CSV, [{**ROW, "borrower_name": text}]))
    assert made[COLUMNS.index("borrower_name")] == defused(text)


def test_a_row_is_the_same_in_both_formats() -> None:
    (made,) = cells(lines(Format.CSV, [ROW]))
    assert dict(zip(COLUMNS, made, strict=True)) == {
        name: str(value or "") for name, value in {**ROW, "submitted_at": "2026-11-30T12:00:00Z"}.items()
    }
    assert orjson.loads(lines(Format.NDJSON, [ROW])) == {
        **ROW,
        "id": str(UUID(int=7)),
        "amount": "1169.0000",
        "submitted_at": "2026-11-30T12:00:00Z",
        "borrower_birth_date": "1980-02-29",
    }


def test_the_last_line_says_how_many_there_are_and_whether_that_is_all() -> None:
    assert tail(Format.CSV, 7, Outcome.COMPLETE) == b"# rows 7 complete\r\n"
    assert tail(Format.CSV, 7, Outcome.LIMITED).startswith(b"# rows 7 incomplete")
    assert orjson.loads(tail(Format.NDJSON, 7, Outcome.COMPLETE)) == {"rows": 7, "complete": True}
    assert orjson.loads(tail(Format.NDJSON, 7, Outcome.LIMITED)) == {"rows": 7, "complete": False}


def test_without_filters_the_file_says_so() -> None:
    assert described([]) == "none"
    assert described([("state", "BOOKED"), ("q", "a,=b")]) == "q=a%2C%3Db&state=BOOKED"

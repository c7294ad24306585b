"""Files of imports without a database: how they are unpacked, cut into records and read, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from services.chassis.web.problems import ContentTooLarge, Problem
from services.intake.imports.domain import FileFormat, ImportKind
from services.intake.imports.errors import ExpandsTooMuch, FileRefused
from services.intake.imports.formats import (
    FREE_BYTES,
    LARGEST_ROW_BYTES,
    MOST_EXPANSION,
    Record,
    Splitter,
    Unpacker,
)
from services.intake.imports.rows import FileRows, ReadRow, columns, required_columns, understood
from tests.integration.intake.importing import application_row, as_csv

NDJSON, CSV = FileFormat.NDJSON, FileFormat.CSV
APPLICATIONS, PAYMENTS = ImportKind.APPLICATIONS, ImportKind.PAYMENTS
SECRET = "Nguyễn Văn Đạt"


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def cut(content: bytes, *, quoted: bool, size: int = 1 << 16) -> list[Record]:
    splitter = Splitter(quoted=quoted)
    found = [record for piece in pieces(content, size) for record in splitter.feed(piece)]
    return [*found, *splitter.end()]


def read(content: bytes, file_format: FileFormat = CSV, kind: ImportKind = APPLICATIONS) -> list[ReadRow]:
    file = FileRows(kind, file_format, gzipped=False, max_bytes=1 << 30)
    found = [record for piece in pieces(content, 1 << 16) for part in file.feed(piece) for record in part]
    rows = [file.read(record) for record in [*found, *file.end()]]
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).digest())
    return rows


def unpacked(content: bytes, *, gzipped: bool = True, most: int = 1 << 30, size: int = 1 << 16) -> bytes:
    unpacker = Unpacker(gzipped=gzipped, max_bytes=most)
    found = b"".join(part for piece in pieces(content, size) for part in unpacker.feed(piece))
    unpacker.end()
    assert unpacker.size == len(found)
    return found


def faults(rows: Iterable[ReadRow]) -> list[tuple[int, str, str]]:
    return [(row.line, *fault) for row in rows for fault in row.faults]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
def test_lines_are_cut_alike_however_the_file_arrives(size: int) -> None:
    content = b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":"\xc3\xa9"}\n\r\nlast'
    assert cut(content, quoted=False, size=size) == [
        Record(1, 1, b'{"a":1}'),
        Record(4, 1, b'{"b":"\xc3\xa9"}'),
        Record(6, 1, b"last"),
    ]


@pytest.mark.parametrize("size", [1, 3, 1 << 16])
def test_a_quoted_cell_goes_on_over_lines_and_a_plain_one_does_not(size: int) -> None:
    content = b'a,b\r\n"x\r\ny ""z""",2\r\n3,4\r\n'
    assert cut(content, quoted=True, size=size) == [
        Record(1, 1, b"a,b"),
        Record(2, 2, b'"x\r\ny ""z""",2'),
        Record(4, 1, b"3,4"),
    ]


def test_a_line_that_is_too_long_is_left_out_and_the_next_one_is_not() -> None:
    for quoted in (False, True):
        content = b"x" * LARGEST_ROW_BYTES + b"\r\n" + b"y" * (LARGEST_ROW_BYTES + 1) + b"\nz\n"
        first, second, third = cut(content, quoted=quoted)
        assert (first.line, len(first.raw or b"")) == (1, LARGEST_ROW_BYTES)
        assert (second, third) == (Record(2, 1, None), Record(3, 1, b"z"))


def test_a_quote_that_does_not_end_is_named_by_its_line_and_the_file_is_refused() -> None:
    for rest in (b"", b"a,b\n" * LARGEST_ROW_BYTES):
        with pytest.raises(FileRefused) as refused:
            cut(b'a,b\n1,2\n3,"4\n' + rest, quoted=True)
        assert "line 3 has a quote that does not end" in str(refused.value.extensions)


@pytest.mark.parametrize("size", [1, 100, 1 << 16])
def test_gzip_is_unpacked_with_all_its_members(size: int) -> None:
    content = random.Random(1).randbytes(300_000) + b"a" * 700_000
    packed = gzip.compress(content[:500_000]) + gzip.compress(content[500_000:]) + bytes(40)
    assert unpacked(packed, size=size) == content


def test_gzip_that_is_cut_damaged_or_none_is_refused() -> None:
    packed = gzip.compress(b"something " * 1000)
    for content in (packed[:-1], packed[:20], b"", b"{}\n", packed[:30] + b"xx" + packed[32:], packed + b"x"):
        with pytest.raises(FileRefused):
            unpacked(content)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    unpacker = Unpacker(gzipped=True, max_bytes=256 << 20)
    with pytest.raises(ExpandsTooMuch) as refused:
        sum(len(part) for piece in pieces(bomb, 4096) for part in unpacker.feed(piece))
    assert refused.value.status == 413
    assert unpacker.size <= FREE_BYTES + MOST_EXPANSION * 4096 + (256 << 10)
    with pytest.raises(ContentTooLarge):
        unpacked(gzip.compress(random.Random(1).randbytes(3000)), most=2999)
    with pytest.raises(ContentTooLarge):
        unpacked(bytes(3000), gzipped=False, most=2999)
    # What was taken is read again, in whatever pieces it comes: of it only the size is known.
    taken = Unpacker(gzipped=True, max_bytes=50 << 20, known=True)
    assert sum(len(part) for piece in pieces(bomb, 4096) for part in taken.feed(piece)) == 50 << 20
    # Small ones may be as regular as they are.
    assert unpacked(gzip.compress(bytes(FREE_BYTES))) == bytes(FREE_BYTES)


def test_csv_and_ndjson_say_the_same() -> None:
    rows = [
        application_row(1),
        # Quotes, a comma, what a spreadsheet would compute: all of it is text.
        application_row(2, party={"full_name": 'Jürgen "Joe", Żak'}, application={"purpose": "=1+1"}),
        application_row(3, application={"submit": False}),
    ]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    table = as_csv(rows)
    for written in (table, table.replace(b"\r\n", b"\n"), b"\xef\xbb\xbf" + table):
        found = read(written)
        assert [row.line for row in found] == [2, 3, 4]
        assert [row.row for row in found] == [row.row for row in read(lines, NDJSON)]
        assert faults(found) == []
    assert found[1].row is not None
    assert found[1].row.model_dump()["application"]["purpose"] == "=1+1"


def test_what_is_wrong_is_named_and_what_it_says_is_not() -> None:
    good = application_row(1)
    bad: list[tuple[Any, list[str]]] = [
        (b"{", [""]),
        (b'{"party": "\xff"}', [""]),
        (b'{"party": 1, "party": 2}', [""]),
        (b"[]", [""]),
        (b"x" * (LARGEST_ROW_BYTES + 1), [""]),
        (application_row(1, party={"full_name": "123", "kind": SECRET}), ["/party/kind", "/party/full_name"]),
        ({**good, "party": {SECRET: 1, **good["party"]}}, ["/party"]),
        ({**good, SECRET: 1}, [""]),
        (application_row(1, application={"profile": {SECRET: 1}}), ["/application/profile"]),
        (application_row(1, party={"birth_date": "31.12.1980"}), ["/party/birth_date"]),
        (application_row(1, application={"amount": "1e3"}), ["/application/amount"]),
        (application_row(1, application={"amount": "1.00001", "currency": "XXX"}), ["/application/amount"]),
        ({**good, "external_ref": "Müller 1"}, ["/external_ref"]),
        ({**good, "external_ref": "x" * 65}, ["/external_ref"]),
        ({"party": good["party"]}, ["/application"]),
    ]
    content = b"\n".join(
        one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() for one, _ in bad
    )
    found = faults(read(content, NDJSON))
    for line, (_, pointers) in enumerate(bad, 1):
        named = [pointer for at, pointer, _ in found if at == line]
        assert set(pointers) <= set(named), (line, found)
    assert len({line for line, *_ in found}) == len(bad)
    assert SECRET not in str(found)
    assert all(len(detail) <= 1000 and detail for *_, detail in found)


def test_a_row_of_csv_has_the_cells_of_its_header() -> None:
    table = as_csv([application_row(1)]).splitlines(keepends=True)
    short = table[1].rpartition(b",")[0] + b"\r\n"
    broken = b'"a"b' + table[1]
    latin = table[1].replace(b"person", "Bär".encode("latin-1"), 1)
    found = faults(read(b"".join([table[0], short, table[1], broken, latin])))
    assert [(line, pointer) for line, pointer, _ in found] == [(2, ""), (4, ""), (5, "")]
    assert "cells" in found[0][2]
    assert "RFC 4180" in found[1][2]
    assert found[2][2] == "is not in UTF-8"


def test_the_rows_that_a_wrong_quote_swallows_are_named() -> None:
    table = as_csv([application_row(n) for n in range(1, 6)]).splitlines(keepends=True)
    table[2] = table[2].replace(b"person", b'per"son', 1)
    table[4] = table[4].replace(b"person", b'per"son', 1)
    ((line, _, detail),) = faults(read(b"".join(table)))
    assert line == 3
    assert detail.startswith("lines 3 to 5: ")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (as_csv([application_row(1)]).splitlines()[1], "not known: "),
        (b"party.kind,party.kind", "same name"),
        (b"party.kind", "missing: application.amount, "),
        (b'"a"b,c', "not CSV"),
        (b"\xff\xfea\x00,\x00", "not in UTF-8"),
        (b"\xff,a", "not CSV in UTF-8"),
        (b"x" * (LARGEST_ROW_BYTES + 1), "longer than"),
    ],
)
def test_a_header_is_one_or_the_file_is_refused(header: bytes, said: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read(header + b"\n1,2\n")
    assert said in str(refused.value.extensions)
    assert "Nguyen" not in str(refused.value.extensions)


def test_the_columns_are_the_members_of_the_models() -> None:
    assert required_columns(PAYMENTS) == {"loan_id", "kind", "amount", "currency"}
    assert set(columns(PAYMENTS)) == {*required_columns(PAYMENTS), "external_ref", "effective_on"}
    assert columns(APPLICATIONS)["application.profile.telephone"] == "boolean"
    assert columns(APPLICATIONS)["application.term_months"] == "integer"
    assert {"external_ref", "party.national_id", "application.submit"}.isdisjoint(
        required_columns(APPLICATIONS)
    )


def test_refusals_are_problems_that_a_client_can_tell_apart() -> None:
    kinds: tuple[type[Problem], ...] = (FileRefused, ExpandsTooMuch)
    assert [kind.status for kind in kinds] == [422, 413]


def test_the_hash_of_a_row_stays_what_it_is() -> None:
    # Rows that were written are known by it for ever: with another hash they would be refused when they are sent again.
    row: dict[str, Any] = {
        "external_ref": "2026-00017",
        "party": {"kind": "person", "full_name": "Jürgen Żak", "birth_date": "1980-02-29"},
        "application": {
            "product_code": "CONSUMER",
            "amount": "1500.50",
            "currency": "DEM",
            "term_months": 12,
            "purpose": "radio/television",
            "channel": "partner",
            "profile": application_row(1)["application"]["profile"],
        },
    }
    first = understood(ImportKind.APPLICATIONS, 1, row)
    assert first.faults == ()
    assert first.sha256.hex() == "810986727f0a9d0ef718ddf80c7d8eb4d9a2210c80af74df9aa60aabcdeb05a7"
    # A member that is not given says the same as one that is given its default.
    row["application"] = {**row["application"], "submit": True}
    assert understood(ImportKind.APPLICATIONS, 2, row).sha256 == first.sha256

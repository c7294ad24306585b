"""Images and keys: every type at its edges, and refusals that name the column but never its value."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.errors import ImageNotApplicable
from services.replicator.replica.types import RowCodec, from_json, json_type, key_from_json, postgresql_type


def column(kind: ColumnType) -> CapturedColumn:
    sizes: dict[str, Any] = {"precision": 19, "scale": 4} if kind is ColumnType.NUMERIC else {}
    return CapturedColumn(f"a_{kind}", kind, nullable=True, **sizes)


BERLIN = timezone(timedelta(hours=2))
EVERY = CapturedTable("credit", "every", tuple(map(column, ColumnType)), ("a_uuid", "a_text"))
ROW: dict[ColumnType, tuple[Any, Any]] = {
    ColumnType.TEXT: ('"\u1ea4\n', '"\u1ea4\n'),
    ColumnType.CHAR: (" a", " a"),
    ColumnType.XML: ("<a/>", "<a/>"),
    ColumnType.UUID: (
        "0197a2a0-0000-7000-8000-000000000001",
        UUID("0197a2a0-0000-7000-8000-000000000001"),
    ),
    ColumnType.BOOLEAN: (True, True),
    ColumnType.SMALLINT: (-32768, -32768),
    ColumnType.INTEGER: (2147483647, 2147483647),
    ColumnType.BIGINT: ("-9223372036854775808", -9223372036854775808),
    ColumnType.NUMERIC: ("922337203685477.5807", Decimal("922337203685477.5807")),
    ColumnType.REAL: ("3.4028235e+38", 3.4028235e38),
    ColumnType.DOUBLE: ("0.1", 0.1),
    ColumnType.TIME: ("23:59:59.999999", time(23, 59, 59, 999999)),
    ColumnType.TIMESTAMPTZ: ("2026-01-01T00:00:00+02:00", datetime(2026, 1, 1, tzinfo=BERLIN)),
    ColumnType.OFFSET: (-840, -840),
    ColumnType.DATE: ("0001-01-01", date(1, 1, 1)),
    ColumnType.TIMESTAMP: ("9999-12-31T23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: DTZ001
    ColumnType.BINARY: ("00ff", b"\x00\xff"),
}


def image(**changed: Any) -> bytes:
    return orjson.dumps({f"a_{kind}": value for kind, (value, _) in ROW.items()} | changed)


def test_every_type_is_read_without_loss() -> None:
    assert RowCodec(EVERY).row(image()) == tuple(ROW[kind][1] for kind in ColumnType)


def test_null_is_null_in_every_type() -> None:
    nothing = {f"a_{kind}": None for kind in ColumnType}
    assert RowCodec(EVERY).row(image(**nothing)) == (None,) * len(ColumnType)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ColumnType.DATE, "infinity"),
        (ColumnType.DATE, "0044-03-15 BC"),
        (ColumnType.DATE, "5874897-12-31"),
        (ColumnType.TIME, "24:00:00.000000"),
        (ColumnType.TIMESTAMP, "-infinity"),
        (ColumnType.TIMESTAMP, "0044-03-15T00:00:00.5 BC"),
        (ColumnType.TIMESTAMPTZ, "294276-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_that_python_has_not_is_left_to_postgresql(kind: ColumnType, value: str) -> None:
    names = [c.name for c in EVERY.columns]
    assert RowCodec(EVERY).row(image(**{f"a_{kind}": value}))[names.index(f"a_{kind}")] == value


def test_a_boolean_may_come_as_text() -> None:
    values = RowCodec(EVERY).row(image(a_boolean="false"))
    assert values[[c.name for c in EVERY.columns].index("a_boolean")] is False


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ColumnType.TEXT, 5),
        (ColumnType.UUID, "Anna-1234"),
        (ColumnType.UUID, 5),
        (ColumnType.BOOLEAN, "Anna-1234"),
        (ColumnType.SMALLINT, "Anna-1234"),
        (ColumnType.INTEGER, [5]),
        (ColumnType.BIGINT, "Anna-1234"),
        (ColumnType.NUMERIC, "Anna-1234"),
        (ColumnType.DOUBLE, "Anna-1234"),
        (ColumnType.DATE, "Anna-1234"),
        (ColumnType.TIMESTAMP, "Anna-1234"),
        (ColumnType.TIMESTAMP, 5),
        (ColumnType.TIME, "Anna-1234"),
        (ColumnType.TIMESTAMPTZ, "Anna-1234"),
        (ColumnType.OFFSET, "Anna-1234"),
        (ColumnType.REAL, "Anna-1234"),
        (ColumnType.BINARY, "Anna-1234"),
    ],
)
def test_a_value_that_does_not_fit_names_its_column_and_never_itself(kind: ColumnType, value: Any) -> None:
    with pytest.raises(ImageNotApplicable) as refused:
        RowCodec(EVERY).row(image(**{f"a_{kind}": value}))
    assert str(refused.value) == f"credit.every.a_{kind}: does not fit {kind}"


def test_nul_in_text_is_refused_and_never_stripped() -> None:
    with pytest.raises(ImageNotApplicable, match=r"^credit\.every\.a_text: U\+0000 cannot be stored"):
        RowCodec(EVERY).row(image(a_text="a\x00b"))


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (b"{", "credit.every: the image is not JSON"),
        (b"\xff", "credit.every: the image is not JSON"),
        (b"[]", "credit.every: the image is not a JSON object"),
        (b"{}", "credit.every.a_text: missing from the image"),
    ],
)
def test_an_image_that_is_no_image_is_refused(spoiled: bytes, reason: str) -> None:
    with pytest.raises(ImageNotApplicable) as refused:
        RowCodec(EVERY).row(spoiled)
    assert str(refused.value).startswith(reason)


def test_a_key_is_read_in_its_own_order() -> None:
    key = RowCodec(EVERY).key(b'["0197a2a0-0000-7000-8000-000000000001","x"]')
    assert key == (UUID("0197a2a0-0000-7000-8000-000000000001"), "x")


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"{",
        b"5",
        b'"ab"',
        b"[]",
        b'["Anna"]',
        b'["Anna","x"]',
        b'["a","b","c"]',
        b"[5,5]",
        b"[null,null]",
    ],
)
def test_a_key_that_does_not_fit_is_refused(key: bytes) -> None:
    with pytest.raises(ImageNotApplicable) as refused:
        RowCodec(EVERY).key(key)
    assert str(refused.value) == "credit.every: the key is not one of (a_uuid, a_text)"


def test_money_keeps_its_size_and_bytes_travel_as_hex() -> None:
    types = {kind: postgresql_type(column(kind)) for kind in ColumnType}
    assert types[ColumnType.NUMERIC] == "numeric(19,4)"
    texts = {kind for kind in ColumnType if types[kind] == "text"}
    assert texts == {ColumnType.TEXT, ColumnType.CHAR, ColumnType.XML}
    assert types[ColumnType.OFFSET] == types[ColumnType.SMALLINT] == "smallint"
    assert len(set(types.values())) == len(ColumnType) - len(texts)
    assert json_type(column(ColumnType.BINARY)) == "text"
    assert from_json(column(ColumnType.BINARY), "r") == "decode(r.a_binary, 'hex')"
    assert from_json(column(ColumnType.UUID), "r") == "r.a_uuid"
    assert key_from_json(column(ColumnType.BINARY), "k", 1) == "decode((k ->> 1), 'hex')"
    assert key_from_json(column(ColumnType.UUID), "k", 0) == "(k ->> 0)::uuid"

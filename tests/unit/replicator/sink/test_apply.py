"""Before the server sees them: which events can be a table's at all."""

from __future__ import annotations

import orjson
import pytest

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.records import parse
from services.replicator.sink.writer import TableWriter
from tests.unit.replicator.records import record

TABLE = CapturedTable(
    "credit",
    "party",
    (CapturedColumn("id", ColumnType.INTEGER, nullable=False), CapturedColumn("name", ColumnType.TEXT, True)),
    ("id",),
)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"id": 1, "name": "x"}, None),
        ({"name": None, "id": 1}, None),
        ({"id": 1}, "credit.party.name: missing from the image"),
        ({"id": 1, "name": "x", "more": 1}, "credit.party: the image has columns that are not its own"),
        ([1], "credit.party: the image is not a JSON object"),
        (5, "credit.party: the image is not a JSON object"),
    ],
)
def test_an_image_has_exactly_the_columns_of_its_definition(image: object, reason: str | None) -> None:
    assert TableWriter(TABLE).fault(parse(record(value=orjson.dumps(image)))) == reason


def test_an_image_that_is_no_json_is_refused() -> None:
    fault = TableWriter(TABLE).fault(parse(record(value=b'{"id": 1, "name": NaN}')))
    assert fault is not None
    assert fault.startswith("credit.party: ")


def test_a_delete_is_judged_by_its_key_alone() -> None:
    writer = TableWriter(TABLE)
    assert writer.fault(parse(record(operation="d", key=b'["1"]', value=None))) is None
    fault = writer.fault(parse(record(operation="d", key=b'["one"]', value=None)))
    assert fault is not None
    assert "the key is not one of (id)" in fault


def test_the_column_that_the_server_refused_is_named() -> None:
    writer = TableWriter(TABLE)
    assert (
        writer.explain(parse(record(value=b'{"id":"one","name":"x"}')))
        == "credit.party.id: does not fit integer"
    )
    assert writer.explain(parse(record(value=b'{"id":1,"name":"x"}'))) is None

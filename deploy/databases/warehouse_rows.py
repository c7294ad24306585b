"""The sample rows after landing: one batch of changes, with the images that the lake's triggers would write."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from services.lake.journal.capture import captured_table
from services.lake.journal.lines import escaped, time_text
from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.lake.types import UtcDateTime, code, long_text, text
from services.loader.flows.model import LoadFlow
from services.loader.loading.tally import Tally, checksum
from services.loader.tables import batch, batch_target, watermark

INCARNATION = UUID("00000000-0000-7000-8000-000000000001")
"""The id of a journal that no lake has: the loader refuses to continue from the samples, and says what to do."""
LANDED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ACTOR = "samples"


def landing_inserts(flow: LoadFlow, rows: Iterable[tuple[sa.Table, dict[str, Any]]]) -> Iterator[sa.Insert]:
    """Yield the inserts of batch 1: `rows` in the lake's order of insertion, each as one change."""
    targets = {target.source: target.table for target in flow.targets}
    tallies: dict[str, Tally] = {}
    position = 0
    for position, (table, row) in enumerate(rows, start=1):
        definition = captured_table(table)
        landing = targets[definition.full_name]
        values = {
            "position_major": position,
            "position_minor": 0,
            "operation": "c",
            "row_key": _key(definition, row),
            "image": _image(definition, row),
            "fingerprint": definition.fingerprint,
            "actor": ACTOR,
            "traceparent": None,
            "captured_at": LANDED_AT,
        }
        fields = [*list(values.values())[:-1], time_text(LANDED_AT.replace(tzinfo=None))]
        tallies.setdefault(landing, Tally()).add([b"\t".join(map(escaped, fields))])
        yield sa.insert(_table(landing)).values(batch_id=1, **values)
    counted = {table: tally.counted() for table, tally in tallies.items()}
    yield sa.insert(batch).values(
        batch_id=1,
        flow=flow.name,
        window_from=None,
        window_to=f"{position}.0",
        row_count=position,
        checksum=checksum(counted),
        incarnation=INCARNATION,
        started_at=LANDED_AT,
        loaded_at=LANDED_AT,
    )
    for table, (row_count, digest) in sorted(counted.items()):
        yield sa.insert(batch_target).values(batch_id=1, target=table, row_count=row_count, checksum=digest)
    yield sa.insert(watermark).values(
        flow=flow.name, position=f"{position}.0", batch_id=1, moved_at=LANDED_AT, checked_at=LANDED_AT
    )


def _table(name: str) -> sa.TableClause:
    return sa.table(
        name,
        sa.column("batch_id", sa.BigInteger),
        sa.column("position_major", sa.BigInteger),
        sa.column("position_minor", sa.BigInteger),
        sa.column("operation", code(1)),
        sa.column("row_key", code(850)),
        sa.column("image", long_text()),
        sa.column("fingerprint", code(16)),
        sa.column("actor", text(128)),
        sa.column("traceparent", code(55)),
        sa.column("captured_at", UtcDateTime()),
        schema="dl",
    )


def _key(table: CapturedTable, row: dict[str, Any]) -> str:
    return orjson.dumps([str(row[name]) for name in table.key]).decode()


def _image(table: CapturedTable, row: dict[str, Any]) -> str:
    return orjson.dumps(
        {str(column.name): _value(column, row.get(column.name)) for column in table.columns}
    ).decode()


def _value(column: CapturedColumn, value: Any) -> Any:
    if value is None:
        return None
    match column.type:
        case ColumnType.NUMERIC:
            return f"{value:.{column.scale}f}"
        case ColumnType.BIGINT | ColumnType.UUID:
            return str(value)
        case ColumnType.BINARY:
            return value.hex()
        case ColumnType.DATE:
            return date.isoformat(value)
        case ColumnType.TIMESTAMP:
            shown = value.astimezone(UTC).replace(tzinfo=None).isoformat()
            return shown.rstrip("0") if value.microsecond else shown
        case _:
            return value

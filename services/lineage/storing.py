"""The SQL that keeps events and their rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, Insert, insert

from services.chassis.database import ApplicationTransaction
from services.lineage.events.projection import Event, project
from services.lineage.events.rows import RULES, Rows, Rule
from services.lineage.tables import PROJECTED, TIME, events

REPLAYED_AT_ONCE = 500
"""Events that `rebuild` holds in memory."""


def _keep() -> sa.TextClause:
    # One array a column: a batch of any size is the same statement.
    columns: dict[str, Any] = {
        "sha256": ARRAY(BYTEA()),
        "kind": ARRAY(sa.Text()),
        "event_time": ARRAY(TIME),
        "namespace": ARRAY(sa.Text()),
        "run_id": ARRAY(sa.Uuid()),
        "body": ARRAY(sa.Text()),
    }
    names = ", ".join(columns)
    arrays = ", ".join(f":{name}" for name in columns)
    return sa.text(
        f"INSERT INTO lineage.event ({names}, received_at) "  # noqa: S608 - names of columns
        f"SELECT *, :received_at FROM unnest({arrays}) ON CONFLICT DO NOTHING RETURNING sha256"
    ).bindparams(
        *(sa.bindparam(name, type_=kind) for name, kind in columns.items()),
        sa.bindparam("received_at", type_=TIME),
    )


def _upsert(name: str, rule: Rule) -> Insert:
    table = PROJECTED[name]
    statement = insert(table)
    new = statement.excluded
    values: dict[str, Any] = {
        **{column: sa.func.least(table.c[column], new[column]) for column in rule.least},
        **{column: sa.func.greatest(table.c[column], new[column]) for column in rule.greatest},
    }
    later = []
    for latest in rule.latest:
        known = sa.tuple_(table.c[latest.at], table.c[latest.hash])
        is_later = sa.or_(table.c[latest.at].is_(None), sa.tuple_(new[latest.at], new[latest.hash]) > known)
        later.append(is_later)
        for column in (latest.at, latest.hash, *latest.columns):
            values[column] = sa.case((is_later, new[column]), else_=table.c[column])
    if not values:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(
        index_elements=[*rule.key],
        set_=values,
        # A row that stays as it is needs no new version of itself.
        where=None if rule.least or rule.greatest else sa.or_(*later),
    )


_KEEP = _keep()
_UPSERTS = {name: _upsert(name, rule) for name, rule in RULES.items()}


async def keep(tx: ApplicationTransaction, sent: Iterable[Event], now: datetime) -> int:
    """Keep the events that are new, with all that follows from them; returns how many are."""
    # By hash: two batches with the same events wait for each other in one order.
    distinct = sorted({event.hash: event for event in sent}.values(), key=lambda event: event.hash)
    if not distinct:
        return 0
    kept = await tx.execute(
        _KEEP,
        {
            "sha256": [event.hash for event in distinct],
            "kind": [event.kind for event in distinct],
            "event_time": [event.at for event in distinct],
            "namespace": [event.namespace for event in distinct],
            "run_id": [event.run for event in distinct],
            "body": [event.text.decode() for event in distinct],
            "received_at": now,
        },
    )
    new = {row.sha256 for row in kept}
    await write(tx, project(event for event in distinct if event.hash in new))
    return len(new)


async def write(tx: ApplicationTransaction, rows: Rows) -> None:
    """Merge rows into the projected tables."""
    for name, statement in _UPSERTS.items():
        if found := rows.sorted(name):
            await tx.execute(statement, found)


async def rebuild(tx: ApplicationTransaction) -> int:
    """Make the projected tables again from all events; returns how many there are. Takes the owner's login."""
    # Who keeps events waits: a row that is deleted here must not be merged there.
    await tx.execute(sa.text("LOCK TABLE lineage.event IN SHARE ROW EXCLUSIVE MODE"))
    for table in PROJECTED.values():
        await tx.execute(sa.delete(table))
    count, last = 0, b""
    while batch := await _after(tx, last):
        await write(tx, project(batch))
        count, last = count + len(batch), batch[-1].hash
    return count


async def _after(tx: ApplicationTransaction, last: bytes) -> Sequence[Event]:
    query = sa.select(events.c.body).where(events.c.sha256 > last).order_by(events.c.sha256)
    found = await tx.execute(query.limit(REPLAYED_AT_ONCE))
    return [Event.of(orjson.loads(body)) for body in found.scalars()]

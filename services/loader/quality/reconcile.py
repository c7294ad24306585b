"""What has become of landed changes: the lake's journal compared with schema `ods`, and what `ods` holds by its rules.

Looked at are the changes since the last check that found no error, up to the last batch that dbt has built into `ods`:
so a fault stays known until it is put right, and a check costs what has changed. Of a row only its newest state counts.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pandas as pd
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from services.chassis.hashing import hash_of
from services.lake.database import Lake
from services.lake.journal.model import START, Position
from services.lake.journal.reader import JournalReader
from services.loader.errors import CheckFailed
from services.loader.flows.model import JournalFlow, Target
from services.loader.quality.expectations import (
    ERROR,
    WARNING,
    Demand,
    Expectations,
    Outcome,
    at_most,
    demands_of,
    equal,
    filled,
    unique,
)
from services.loader.quality.ods import LAKE, ORPHANS, PAGE, SET_ASIDE, Changes, Span
from services.loader.tables import batch, quality_result, watermark
from services.loader.warehouse import Warehouse, WarehouseReader

_BUILD_WATERMARK = sa.table(
    "watermark", *(sa.column(name) for name in ("model", "source", "done")), schema="build"
)


@dataclass(slots=True)
class Digest:
    """How many changes a table has in a span, and SHA-256 of their positions, operations and images, in order."""

    changes: int = 0
    sha256: Any = None

    def add(self, major: int, minor: int, operation: str, image_hash: str) -> None:
        """Take the next change."""
        self.changes += 1
        self.sha256 = self.sha256 or hashlib.sha256()
        self.sha256.update(f"{major}.{minor} {operation} {image_hash}\n".encode())

    @property
    def checksum(self) -> str:
        """The digest so far."""
        return self.sha256.hexdigest() if self.sha256 else ""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcomes of one run by landing table, all of one moment."""

    flow: str
    run_id: UUID
    span: Span
    outcomes: Mapping[str, Sequence[Outcome]]

    @property
    def failed(self) -> list[tuple[str, Outcome]]:
        """What was not as it should be, with its table."""
        return [(table, one) for table, found in self.outcomes.items() for one in found if not one.success]

    @property
    def errors(self) -> int:
        """How many failures end the command: those that would make all numbers wrong."""
        return sum(one.demand.severity == ERROR and one.demand.blocks for _, one in self.failed)


class QualityCheck:
    """The checks of one flow that loads the lake's journal."""

    def __init__(self, flow: JournalFlow, lake: Lake, warehouse: Warehouse) -> None:
        """Neither database is closed here."""
        self._flow = flow
        self._lake = lake
        self._warehouse = warehouse

    async def run(self, tell: Callable[[str], None]) -> Checked:
        """Check every target and keep the results; `tell` is called with each table that is done.

        Raises:
            CheckFailed: nothing is loaded, or `ods` not built yet.
        """
        expectations = Expectations()
        rows: dict[str, list[Outcome]] = {}
        sides: list[dict[str, Any]] = []
        async with self._warehouse.reading() as reading:
            span, minutes = await self._span(reading)
            arrived = await self._in_the_journal(span)
            for target in self._flow.targets:
                side = {"table": target.table, "minutes_since_load": minutes}
                side["missing_columns"] = len(await self._missing(reading, target))
                rows[target.table] = []
                # What is not there cannot be read; that it is not there is the finding.
                if not side["missing_columns"]:
                    table = Changes(target)
                    side |= await self._sides(reading, table, span, arrived[target.source])
                    rows[target.table] = [Outcome(demand) for demand in _row_demands(target)]
                    async for page in table.newest(reading, span):
                        expectations.look(_frame(page, target), rows[target.table])
                sides.append(side)
                tell(target.table)
        boundary = self._boundary(expectations, sides)
        outcomes = {table: [*boundary[table], *found] for table, found in rows.items()}
        checked = Checked(self._flow.name, uuid7(), span, outcomes)
        await self._keep(checked)
        return checked

    async def _span(self, reading: WarehouseReader) -> tuple[Span, float]:
        """The span to check, and for how many minutes no load has ended well."""
        name = self._flow.name
        mark = (await reading.execute(sa.select(watermark).where(watermark.c.flow == name))).first()
        if mark is None or mark.batch_id is None:
            raise CheckFailed(f"flow {name}: nothing is loaded yet; run it first")
        built = await self._built(reading, mark.batch_id)
        row = (
            await reading.execute(
                sa.select(batch.c.batch_id, batch.c.window_to, batch.c.incarnation)
                .where(batch.c.flow == name, batch.c.batch_id <= built, batch.c.replaces.is_(None))
                .order_by(batch.c.batch_id.desc())
                .limit(1)
            )
        ).first()
        if row is None:
            raise self._nothing_built()
        clean = await self._clean_through(reading, row.incarnation)
        after = max(clean, await JournalReader(self._lake).purged())
        through = Position.parse(row.window_to)
        age = datetime.now(UTC) - mark.checked_at
        return Span(min(after, through), through, row.batch_id), age.total_seconds() / 60

    async def _built(self, reading: WarehouseReader, newest: int) -> int:
        """The last batch of which `ods` has everything."""
        if not await reading.connection.run_sync(
            lambda c: sa.inspect(c).has_table("watermark", schema="build")
        ):
            raise self._nothing_built()
        done = {
            row.model: int(row.done)
            for row in await reading.execute(sa.select(_BUILD_WATERMARK).where(self._is_ours()))
        }
        built = newest
        for target in self._flow.targets:
            landed = sa.table(target.table, sa.column("batch_id"), schema="dl")
            waiting = await reading.scalar(
                sa.select(sa.func.min(landed.c.batch_id)).where(
                    landed.c.batch_id > done.get(target.table, -1)
                )
            )
            built = min(built, newest if waiting is None else int(waiting) - 1)
        return built

    def _nothing_built(self) -> CheckFailed:
        return CheckFailed(
            f"flow {self._flow.name}: schema ods holds no batch of it yet; build it first "
            "(dbt/build.py --select path:models/ods)"
        )

    def _is_ours(self) -> sa.ColumnElement[bool]:
        names = [target.table for target in self._flow.targets]
        return sa.and_(
            _BUILD_WATERMARK.c.model.in_(names), _BUILD_WATERMARK.c.source == _BUILD_WATERMARK.c.model
        )

    async def _clean_through(self, reading: WarehouseReader, incarnation: UUID | None) -> Position:
        """Where the newest run ended that found no error; the start when that was in another journal."""
        kept = quality_result.c
        with_errors = sa.select(kept.run_id).where(
            kept.flow == self._flow.name, kept.severity == ERROR, kept.success == sa.false()
        )
        last = await reading.scalar(
            sa.select(sa.func.max(kept.through_batch_id)).where(
                kept.flow == self._flow.name, kept.run_id.not_in(with_errors)
            )
        )
        if last is None:
            return START
        same = sa.and_(batch.c.batch_id == last, batch.c.incarnation == incarnation)
        found = await reading.scalar(sa.select(batch.c.window_to).where(same))
        return START if found is None else Position.parse(found)

    async def _in_the_journal(self, span: Span) -> dict[str, Digest]:
        """What the lake's journal holds of the span, by table; one pass over it."""
        wanted = {target.source: Digest() for target in self._flow.targets}
        async with JournalReader(self._lake).stream() as stream:
            after = span.after
            while after < span.through:
                for change in (changes := await stream.read(after, PAGE)):
                    if change.position > span.through:
                        return wanted
                    if digest := wanted.get(change.table):
                        digest.add(change.major, change.minor, change.operation, hash_of(change.image))
                if not changes:
                    break
                after = changes[-1].position
        return wanted

    async def _missing(self, reading: WarehouseReader, target: Target) -> list[str]:
        def names(connection: sa.Connection) -> set[str]:
            inspector = sa.inspect(connection)
            if not inspector.has_table(target.table, schema="ods"):
                return set()
            return {column["name"] for column in inspector.get_columns(target.table, schema="ods")}

        there = await reading.connection.run_sync(names)
        return [name for name in (*target.columns, "image_hash", SET_ASIDE) if name not in there]

    async def _sides(
        self, reading: WarehouseReader, table: Changes, span: Span, journal: Digest
    ) -> dict[str, Any]:
        """What both sides of the boundary have of a table."""
        ods = Digest()
        async for change in table.changes(reading, span):
            ods.add(*change)
        orphans = table.orphans({target.source: target for target in self._flow.targets}, span)
        return {
            "changes": ods.changes,
            "journal_changes": journal.changes,
            "checksum": ods.checksum,
            "journal_checksum": journal.checksum,
            **{name: int(await reading.scalar(query) or 0) for name, query in orphans},
        }

    def _boundary(
        self, expectations: Expectations, sides: Sequence[Mapping[str, Any]]
    ) -> dict[str, list[Outcome]]:
        """The outcomes of each table, of one look at all of them."""
        orphans = sorted({name for side in sides for name in side if name.endswith(ORPHANS)})
        whole = [
            Outcome(demand)
            for demand in (
                at_most("missing_columns", 0),
                equal("changes", "journal_changes"),
                equal("checksum", "journal_checksum"),
                # Old rows are whole rows: that a source is stale has an alert of its own, and holds nothing up.
                at_most("minutes_since_load", self._flow.freshness_minutes, WARNING),
                *(at_most(name, 0) for name in orphans),
            )
        ]
        expectations.look(pd.DataFrame(list(sides)), whole, name="table")
        return {
            str(side["table"]): [
                _of_table(outcome, side) for outcome in whole if outcome.demand.column in side
            ]
            for side in sides
        }

    async def _keep(self, checked: Checked) -> None:
        at = datetime.now(UTC)
        rows = [
            {
                "result_id": uuid7(),
                "run_id": checked.run_id,
                "flow": checked.flow,
                "target": table,
                "column_name": one.demand.column,
                "expectation": one.name,
                "severity": one.demand.severity,
                "success": one.success,
                "checked_count": one.checked,
                "failed_count": one.failed,
                "details": orjson.dumps(one.observed).decode() if one.observed else None,
                "through_batch_id": checked.span.batch_id,
                "checked_at": at,
            }
            for table, found in checked.outcomes.items()
            for one in found
        ]
        async with self._warehouse.transaction() as tx:
            await tx.execute(sa.insert(quality_result), rows)


def _of_table(outcome: Outcome, side: Mapping[str, Any]) -> Outcome:
    """The part of an outcome over all tables that is about one of them."""
    column = str(outcome.demand.column)
    failed = outcome.failing.count(str(side["table"]))
    observed = []
    if failed:
        observed = [f"{name} {side[name]}" for name in (column, f"journal_{column}") if name in side]
    return Outcome(outcome.demand, 1, failed, not failed, observed=observed)


def _row_demands(target: Target) -> list[Demand]:
    """What rows of a target must be: by the lake's own columns and the checks of the flow file, each demand once.

    A row that breaks one was set aside when it was typed, unless the rules were others then; so what one row does wrong
    ends no check. Two newest rows of one key are no fault of a row.
    """
    lake = LAKE.get(target.source)
    required = {column.name for column in lake.columns if not column.nullable} if lake is not None else set()
    required |= {check.column for check in target.checks if check.not_null}
    of_rows = [
        *(filled(name) for name in target.columns if name in required),
        *(
            demand
            for check in target.checks
            # A typed copy has its types by being there.
            for demand in demands_of(check.model_copy(update={"not_null": False, "type": None}))
        ),
    ]
    return [unique(target.keys), *(replace(demand, blocks=False) for demand in of_rows)]


def _frame(rows: Sequence[Any], target: Target) -> pd.DataFrame:
    return pd.DataFrame.from_records(
        [tuple(getattr(row, name) for name in target.columns) for row in rows],
        columns=list(target.columns),
    ).astype(object)

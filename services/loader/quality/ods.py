"""Reads a table of schema `ods`: typed changes, in the order of the journal."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.lake.journal.model import Position
from services.lake.tables import CAPTURED
from services.loader.flows.model import Target
from services.loader.warehouse import WarehouseReader

PAGE = 20_000
"""Rows that are held in memory at once."""
SET_ASIDE = "fault_rule"
"""The column that says why a change was set aside; NULL: it was taken."""
ORPHANS = "_orphans"
"""How the names of counts of rows without their parent end."""
LAKE = {table.fullname: table for table in CAPTURED}
"""The lake's own definition of a table, by its full name."""


@dataclass(frozen=True, slots=True)
class Span:
    """Changes behind `after`, up to `through`, which is where batch `batch_id` ends."""

    after: Position
    through: Position
    batch_id: int


class Changes:
    """A table of schema `ods`, read in pages of its positions."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._table = self._named("changes")

    def _named(self, alias: str) -> Any:
        names = (
            "position_major",
            "position_minor",
            "operation",
            "image_hash",
            SET_ASIDE,
            *self._target.columns,
        )
        # A set: a column of the lake may be called as one of ours.
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in dict.fromkeys(names)]
        return sa.table(self._target.table, *columns, schema="ods").alias(alias)

    def _within(self, after: Position, through: Position) -> sa.ColumnElement[bool]:
        return sa.and_(_behind(self._table, after), sa.not_(_behind(self._table, through)))

    def _is_taken(self) -> sa.ColumnElement[bool]:
        return self._table.c[SET_ASIDE].is_(None)  # type: ignore[no-any-return]

    def _is_newest(self, through: Position) -> sa.ColumnElement[bool]:
        later = self._named("later")
        same = [later.c[key] == self._table.c[key] for key in self._target.keys]
        follows = sa.or_(
            later.c.position_major > self._table.c.position_major,
            sa.and_(
                later.c.position_major == self._table.c.position_major,
                later.c.position_minor > self._table.c.position_minor,
            ),
        )
        return ~sa.exists().where(*same, follows, sa.not_(_behind(later, through)))

    def _page(self, query: sa.Select[Any], after: Position, through: Position) -> sa.Select[Any]:
        places = (self._table.c.position_major, self._table.c.position_minor)
        return query.where(self._within(after, through)).order_by(*places).limit(PAGE)

    def select_changes(self, after: Position, through: Position) -> sa.Select[Any]:
        """Read a page of changes: position, operation, hash of the image."""
        table = self._table.c
        query = sa.select(table.position_major, table.position_minor, table.operation, table.image_hash)
        return self._page(query, after, through)

    def select_newest(self, after: Position, through: Position) -> sa.Select[Any]:
        """Read a page of the rows that changed behind `after`, as they are at `through`."""
        query = sa.select(self._table).where(
            self._table.c.operation != "d", self._is_taken(), self._is_newest(through)
        )
        return self._page(query, after, through)

    async def changes(self, reading: WarehouseReader, span: Span) -> AsyncIterator[tuple[int, int, str, str]]:
        """Every change of the span: position, operation, hash of the image."""
        async for page in _pages(reading, self.select_changes, span):
            for row in page:
                yield row.position_major, row.position_minor, row.operation, row.image_hash

    async def newest(self, reading: WarehouseReader, span: Span) -> AsyncIterator[Sequence[Any]]:
        """The rows that changed in the span, as they are at its end, in pages."""
        async for page in _pages(reading, self.select_newest, span):
            yield page

    def orphans(self, targets: Mapping[str, Target], span: Span) -> list[tuple[str, sa.Select[Any]]]:
        """For each foreign key of the lake's table, a query that counts the newest rows whose parent never came."""
        lake = LAKE.get(self._target.source)
        queries = []
        for key in sorted(lake.foreign_key_constraints if lake is not None else (), key=str):
            parent = targets.get(key.referred_table.fullname)
            if parent is None:
                continue
            # A key that holds more together than the parent's own names it by that alone.
            names = [
                (element.parent.name, element.column.name)
                for element in key.elements
                if element.column.primary_key
            ]
            parents = sa.table(parent.table, *(sa.column(name) for _, name in names), schema="ods").alias(
                "parents"
            )
            own = [self._table.c[name] for name, _ in names]
            is_there = sa.exists().where(
                *(parents.c[name] == column for column, (_, name) in zip(own, names, strict=True))
            )
            query = (
                sa.select(sa.func.count())
                .select_from(self._table)
                .where(
                    self._within(span.after, span.through),
                    self._table.c.operation != "d",
                    # What is set aside has no more than its key; as a parent it has arrived all the same.
                    self._is_taken(),
                    self._is_newest(span.through),
                    *(column.is_not(None) for column in own),
                    ~is_there,
                )
            )
            queries.append((f"{'_'.join(name for name, _ in names)}{ORPHANS}", query))
        return queries


def _behind(table: Any, position: Position) -> sa.ColumnElement[bool]:
    return sa.or_(
        table.c.position_major > position.major,
        sa.and_(table.c.position_major == position.major, table.c.position_minor > position.minor),
    )


async def _pages(
    reading: WarehouseReader, page: Callable[[Position, Position], sa.Select[Any]], span: Span
) -> AsyncIterator[Sequence[Any]]:
    after = span.after
    while True:
        rows = (await reading.execute(page(after, span.through))).all()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = Position(rows[-1].position_major, rows[-1].position_minor)

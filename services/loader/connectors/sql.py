"""Tables of a SQL database: what rose above a watermark, or the whole table, compared with what has landed."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.chassis.engines import engine_named
from services.loader.connectors.interface import Chunk, Dataset, Mark, Window, table
from services.loader.connectors.lines import Lines
from services.loader.errors import SourceChanged, SourceUnreachable
from services.loader.flows.model import SqlFlow, Target

PAGE_ROWS = 5_000


class SqlConnector:
    """Reads the columns that the flow file names.

    With a watermark column a window ends `lag_seconds` before now, and begins `overlap` below where the last one ended:
    rows whose transaction took longer than the lag come with the next window, and those that are known land no second
    time. Times without a zone are taken for UTC.
    """

    compares = True

    def __init__(self, flow: SqlFlow) -> None:
        """The URL is read from the environment; nothing connects before it is needed."""
        self._flow = flow
        self._watermark = flow.source.watermark
        self.complete = self._watermark is None
        self.may_be_empty = flow.source.may_be_empty
        self._lines = {target.source: Lines(flow, target, "sql") for target in flow.targets}
        self._engine = self._open()

    def _open(self) -> AsyncEngine:
        variable = self._flow.source.url_variable
        try:
            url = sa.make_url(os.environ.get(variable, ""))
            dialect = engine_named(url.get_backend_name())
        except (sa.exc.ArgumentError, ValueError):
            raise SourceUnreachable(
                f"flow {self._flow.name}: {variable} is not set, or no SQLAlchemy URL of postgresql+asyncpg:// or "
                "mssql+aioodbc://; source.url_variable names it"
            ) from None
        return create_async_engine(
            url, pool_size=1, hide_parameters=True, connect_args=dialect.connect_arguments("loader", None)
        )

    def dataset(self, target: Target) -> Dataset:
        """Name the table."""
        return table(self._engine.url, target.source)

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window at every table's highest value that is old enough; whole tables are what they are now."""
        del most_rows
        if self._watermark is None:
            return Window(mark.position, datetime.now(UTC).isoformat())
        known = _position(mark.position)
        ends = dict(known)
        with self._reaching():
            async with self._engine.connect() as connection:
                for target in self._flow.targets:
                    column: sa.ColumnClause[Any] = sa.column(self._watermark.column)
                    source = _table(target)
                    unset = sa.select(sa.literal(1)).select_from(source).where(column.is_(None)).limit(1)
                    if await connection.scalar(unset):
                        raise SourceChanged(
                            f"flow {self._flow.name}: {target.source}.{column.name} is NULL in some row, which no "
                            "window would ever hold. Set it, or load the whole table: leave source.watermark out"
                        )
                    highest = await connection.scalar(sa.select(sa.func.max(column)).select_from(source))
                    if highest is not None:
                        end = _text(self._old_enough(highest))
                        ends[target.source] = max(end, known.get(target.source, end), key=_value)
        return Window(mark.position, orjson.dumps(ends, option=orjson.OPT_SORT_KEYS).decode())

    def _old_enough(self, highest: Any) -> Any:
        if self._watermark is None or not isinstance(highest, datetime):
            return highest
        limit = datetime.now(UTC) - timedelta(seconds=self._watermark.lag_seconds)
        return min(highest, limit if highest.tzinfo else limit.replace(tzinfo=None))

    async def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Read every target's rows of the window, in pages."""
        begins, ends = (
            _position(p) if self._watermark else {} for p in (window.position_from, window.position_to)
        )
        with self._reaching():
            async with self._engine.connect() as connection:
                for target in self._flow.targets:
                    query: Any = sa.select(*(sa.column(name) for name in target.columns)).select_from(
                        _table(target)
                    )
                    if self._watermark is not None:
                        if (end := ends.get(target.source)) is None:
                            continue
                        column: sa.ColumnClause[Any] = sa.column(self._watermark.column)
                        query = query.where(column <= _value(end)).order_by(column)
                        if (begin := begins.get(target.source)) is not None:
                            query = query.where(column > self._below(_value(begin)))
                    place = 0
                    result = await connection.stream(query.execution_options(yield_per=PAGE_ROWS))
                    async for page in result.partitions(PAGE_ROWS):
                        lines = [
                            self._lines[target.source].row(
                                dict(zip(target.columns, row, strict=True)),
                                major=0,
                                minor=place + index,
                                operation="r",
                                place=f"row {place + index}",
                            )
                            for index, row in enumerate(page, start=1)
                        ]
                        place += len(page)
                        yield {target.table: lines}

    def _below(self, value: Any) -> Any:
        overlap = 0 if self._watermark is None else self._watermark.overlap
        return value - (timedelta(seconds=overlap) if isinstance(value, datetime) else overlap)

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Say that only comparing tells."""
        del mark
        return {target.table: None for target in self._flow.targets}

    async def loaded(self, position: str) -> None:
        """Do nothing: the watermark is the only memory."""

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.ProgrammingError as error:
            said = (str(error.orig).splitlines() or [""])[0]
            raise SourceChanged(
                f"flow {self._flow.name}: the source is not what the flow file says: {said}. Put the source right, or "
                "targets[].source, .columns and source.watermark of the flow file"
            ) from error
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: the database of {self._flow.source.url_variable} does not answer "
                f"({type(error).__name__}); is it up, and the URL right?"
            ) from error


def _table(target: Target) -> sa.TableClause:
    schema, dot, name = target.source.rpartition(".")
    return sa.table(name, schema=schema if dot else None)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"t{value.isoformat()}"
    return f"n{value}"


def _value(text: str) -> Any:
    if text.startswith("t"):
        return datetime.fromisoformat(text[1:])
    number = Decimal(text[1:])
    return int(number) if number == number.to_integral_value() else number


def _position(position: str | None) -> dict[str, str]:
    return {} if position is None else dict(orjson.loads(position))

"""A database of one process: its pool, its transactions and their metrics.

Each kind of database has its own class, so that types say which one a function takes.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.chassis.engines import Engine, engine_named
from services.chassis.telemetry import metrics
from services.chassis.telemetry.spans import exemplar

SLOW_STATEMENT_SECONDS = 0.25
"""A statement slower than this many seconds gets its own span."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection within a transaction."""

    connection: AsyncConnection
    dialect: Engine

    async def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run one Core statement; `parameters` as SQLAlchemy takes them."""
        return await self.connection.execute(statement, parameters)

    async def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run one Core statement; returns the first column of its first row, None when there is none."""
        return await self.connection.scalar(statement, parameters)


class ApplicationReader(Session):
    """Reads of the application database."""


class ApplicationTransaction(ApplicationReader):
    """One transaction of the application database."""


class Database:
    """A database with its pool, measured."""

    role: str
    """The database's role in the process, for telemetry: `application`, for instance."""

    dialect: Engine
    """The engine-specific operations."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use a ready pool of connections; `open` makes one."""
        self.engine = engine
        self.dialect = engine_named(engine.dialect.name)
        _observe(engine, self.role, self.dialect.system)
        self._tracer = trace.get_tracer("services.chassis.database")

    @classmethod
    def open(
        cls, url: str, *, service: str, pool_size: int = 10, command_seconds: float | None = None
    ) -> Self:
        """Make an engine for `url`; nothing connects before it is used.

        Args:
            url: SQLAlchemy URL with an async driver.
            service: shown by the server as the application's name.
            pool_size: most connections; a request waits at most 5 s for one.
            command_seconds: a statement that takes longer fails; by default there is no limit. Only this limit
                detects a half-open connection.

        Raises:
            ValueError: when the engine is neither PostgreSQL nor SQL Server.
        """
        parsed = sa.make_url(url)
        dialect = engine_named(parsed.get_backend_name())
        return cls(
            create_async_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=5,
                pool_pre_ping=True,
                # Parameters can hold personal data: keep them out of an exception's text, which is logged.
                hide_parameters=True,
                connect_args=dialect.connect_arguments(service, command_seconds),
            )
        )

    async def ping(self) -> None:
        """Run the smallest statement; raises the driver's error when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def dispose(self) -> None:
        """Close every connection of the pool."""
        await self.engine.dispose()

    @asynccontextmanager
    async def begin(self, kind: SpanKind) -> AsyncIterator[AsyncConnection]:
        """Open a transaction within a span of `kind`; subclasses return their own type."""
        with self._tracer.start_as_current_span(
            f"transaction {self.role}",
            kind=kind,
            attributes={
                "db.system.name": self.dialect.system,
                "db.namespace": str(self.engine.url.database),
                "creditmesh.database": self.role,
            },
        ):
            started = time.perf_counter()
            async with self.engine.connect() as connection:
                metrics.DB_CONNECTION_WAIT.labels(self.role).observe(time.perf_counter() - started)
                async with connection.begin():
                    yield connection


class ApplicationDatabase(Database):
    """Database B1: the replica, and the services' private tables."""

    role = "application"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ApplicationTransaction]:
        """Open a transaction, committed at the end of the block and rolled back on any exception."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield ApplicationTransaction(connection, self.dialect)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ApplicationReader]:
        """Open a transaction that only reads."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield ApplicationReader(connection, self.dialect)


def beyond(
    key: sa.ColumnElement[Any],
    identifier: sa.ColumnElement[Any],
    row: tuple[Any, Any],
    *,
    descending: bool = False,
) -> sa.ColumnElement[bool]:
    """The condition of keyset paging: a row comes after another, by `key` and then by `identifier`.

    Args:
        key: the column that orders the page.
        identifier: a unique column.
        row: the other row's values of both.
        descending: whether both are in descending order.
    """
    place, last = row
    if descending:
        return sa.or_(key < place, sa.and_(key == place, identifier < last))
    return sa.or_(key > place, sa.and_(key == place, identifier > last))


def _observe(engine: AsyncEngine, role: str, system: str) -> None:
    """Measure every statement, and give slow ones a span; never the parameters, which can be personal."""
    tracer = trace.get_tracer("services.chassis.database")

    def before(_c: Any, _cursor: Any, _s: str, _p: Any, context: Any, _many: bool) -> None:
        context.creditmesh_started = time.time_ns()

    def after(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _many: bool) -> None:
        ended = time.time_ns()
        seconds = (ended - context.creditmesh_started) / 1e9
        operation = _operation(statement)
        metrics.DB_OPERATION_DURATION.labels(system, role, operation, "").observe(seconds, exemplar())
        if seconds >= SLOW_STATEMENT_SECONDS:
            span = tracer.start_span(
                f"{operation} {role}",
                kind=SpanKind.CLIENT,
                start_time=context.creditmesh_started,
                attributes={
                    "db.system.name": system,
                    "db.namespace": str(engine.url.database),
                    "db.operation.name": operation,
                    "db.query.text": statement,
                },
            )
            span.end(ended)

    def failed(error: sa.engine.ExceptionContext) -> None:
        started = getattr(error.execution_context, "creditmesh_started", None)
        if started is not None and error.statement is not None:
            seconds = (time.time_ns() - started) / 1e9
            labels = (system, role, _operation(error.statement), type(error.original_exception).__name__)
            metrics.DB_OPERATION_DURATION.labels(*labels).observe(seconds, exemplar())

    sa.event.listen(engine.sync_engine, "before_cursor_execute", before)
    sa.event.listen(engine.sync_engine, "after_cursor_execute", after)
    sa.event.listen(engine.sync_engine, "handle_error", failed)


def _operation(statement: str) -> str:
    return statement.lstrip("( \n").split(None, 1)[0].upper()

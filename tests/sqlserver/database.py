"""A lake on a real SQL Server, with the face that the cases know: `url`, `connect`, and asyncpg's few methods."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from services.chassis.engines.sqlserver import numbers, sqlstate
from services.platform.components.mesh import MIGRATIONS, run_once
from services.platform.home import LOGINS, OWNER
from tests.sqlserver.translation import translate

PREFIX = "creditmesh_test_"
# By number of the server's error, else by SQLSTATE: what the cases expect of asyncpg.
_ERRORS: dict[int, type[asyncpg.PostgresError]] = {
    207: asyncpg.UndefinedColumnError,
    208: asyncpg.UndefinedTableError,
    **dict.fromkeys((220, 232, 8115), asyncpg.NumericValueOutOfRangeError),
    **dict.fromkeys((229, 230, 262, 297, 300), asyncpg.InsufficientPrivilegeError),
    **dict.fromkeys((241, 242, 245, 295, 8114), asyncpg.InvalidTextRepresentationError),
    515: asyncpg.NotNullViolationError,
    **dict.fromkeys((2601, 2627), asyncpg.UniqueViolationError),
    **dict.fromkeys((2628, 8152), asyncpg.StringDataRightTruncationError),
    3960: asyncpg.SerializationError,
    # Transient.
    **dict.fromkeys((701, 802, 8645, 8651), asyncpg.OutOfMemoryError),
    **dict.fromkeys((1101, 1105, 9002, 40544), asyncpg.DiskFullError),
    1204: asyncpg.OutOfMemoryError,
    1205: asyncpg.DeadlockDetectedError,
    1222: asyncpg.LockNotAvailableError,
    3906: asyncpg.ReadOnlySQLTransactionError,
    **dict.fromkeys((921, 922, 924, 927, 942, 976, 978, 979, 982, 983, 4060), asyncpg.CannotConnectNowError),
    **dict.fromkeys((40197, 40540, 40613), asyncpg.CannotConnectNowError),
    **dict.fromkeys((10928, 10929, 40501, 49918, 49919, 49920), asyncpg.TooManyConnectionsError),
}
_CONFLICT = 547
_CONFLICTS: dict[str, type[asyncpg.PostgresError]] = {
    "CHECK": asyncpg.CheckViolationError,
    "FOREIGN KEY": asyncpg.ForeignKeyViolationError,
    "REFERENCE": asyncpg.ForeignKeyViolationError,
}
"""One number for all of them; the message names the kind: `conflicted with the CHECK constraint "…"`."""


_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


class Record(tuple[Any, ...]):
    """A row by number and by name, as asyncpg's."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Record:
        """Make one of SQLAlchemy's."""
        # The driver gives a uniqueidentifier as text in capitals, as nothing else writes one.
        made = cls(uuid.UUID(v) if isinstance(v, str) and _UUID.fullmatch(v) else v for v in row)
        made.names = tuple(row._fields)
        return made

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(self.names.index(place) if isinstance(place, str) else place)

    def keys(self) -> Iterator[str]:
        """The names, in order."""
        return iter(self.names)


class Connection:
    """One connection that commits every statement by itself, outside of `transaction`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._depth = 0

    async def execute(self, statement: str, *arguments: Any) -> str:
        """Run a statement of a case; give what it did, as `UPDATE 2`.

        Raises:
            asyncpg.PostgresError: of the class that the case expects.
            NotTranslatable: SQL Server has no counterpart.
        """
        result = await self._run(statement, arguments)
        verb = statement.split(None, 1)[0].upper()
        return f"{verb} {result.rowcount}"

    async def fetch(self, statement: str, *arguments: Any) -> list[Record]:
        """The rows of a query."""
        return [Record.of(row) for row in await self._run(statement, arguments)]

    async def fetchrow(self, statement: str, *arguments: Any) -> Record | None:
        """The first row of a query."""
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """The first column of the first row."""
        row = await self.fetchrow(statement, *arguments)
        return None if row is None else row[0]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit at the end of the block, roll back on any exception; within another, to a savepoint."""
        name = f"savepoint{self._depth}"
        await self.raw(f"SAVE TRANSACTION {name}" if self._depth else "BEGIN TRANSACTION")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            # A deadlock has ended the whole of it already.
            await self.raw(
                f"IF XACT_STATE() = 1 ROLLBACK TRANSACTION {name}"
                if self._depth
                else "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"
            )
            raise
        self._depth -= 1
        if not self._depth:
            await self.raw("COMMIT TRANSACTION")

    async def raw(self, statement: str, *arguments: Any) -> sa.CursorResult[Any]:
        """Run T-SQL as it stands."""
        try:
            return await self._connection.exec_driver_sql(statement, arguments or None)
        except DBAPIError as error:
            raise as_expected(error) from error

    async def _run(self, statement: str, arguments: tuple[Any, ...]) -> sa.CursorResult[Any]:
        written, order = translate(statement)
        values = tuple(arguments[number - 1] for number in order)
        if ";" not in written:
            return await self.raw(written, *values)
        try:
            return await self.raw(together(written), *values)
        except BaseException:
            # The batch has ended before its last line.
            if not self._connection.invalidated:
                await self.raw(SET_BACK)
            raise


SET_BACK = "SET XACT_ABORT OFF; SET NOCOUNT OFF"


def together(statements: str) -> str:
    """Make one transaction of several statements, as PostgreSQL's simple protocol does: all of it or nothing.

    Without NOCOUNT the driver would show the errors of the first statement alone, unless none tells its count; without
    XACT_ABORT most errors end one statement, and the next would run.
    """
    return (
        "SET NOCOUNT ON; SET XACT_ABORT ON; BEGIN TRANSACTION; "
        f"{statements.rstrip().rstrip(';')}; COMMIT TRANSACTION; {SET_BACK}"
    )


def as_expected(error: DBAPIError) -> BaseException:
    """Give asyncpg's error of the same meaning; the error itself where there is none."""
    text = str(error.orig)
    for number in numbers(error):
        if number == _CONFLICT:
            kinds = [kind for named, kind in _CONFLICTS.items() if f"the {named} constraint" in text]
            return (kinds or [asyncpg.IntegrityConstraintViolationError])[0](text)
        if number in _ERRORS:
            return _ERRORS[number](text)
    if (sqlstate(error) or "").startswith("08"):
        return asyncpg.ConnectionDoesNotExistError(text)
    return error


@dataclass(frozen=True, slots=True)
class SQLServerDatabase:
    """A database of a test's own. `address` is that of the server, with a login that may make databases."""

    address: sa.URL
    name: str
    passwords: dict[str, str]

    def url(self, login: str = OWNER) -> str:
        """SQLAlchemy URL for a login: a service's name, or by default the one that made the database."""
        chosen = self.address.set(database=self.name)
        if login != OWNER:
            chosen = chosen.set(username=f"{PREFIX}{login}", password=self.passwords[login])
        return chosen.render_as_string(hide_password=False)

    def sql(self, statement: str) -> str:
        """A case's statement as this engine runs it."""
        return translate(statement)[0]

    @asynccontextmanager
    async def connect(self, login: str = OWNER) -> AsyncIterator[Connection]:
        """A bare connection, for looking and meddling behind a service's back."""
        async with _connected(self.url(login)) as connection:
            yield connection


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            yield Connection(connection)
    finally:
        await engine.dispose()


async def create_logins(address: sa.URL) -> dict[str, str]:
    """Make the services' logins on the server, with new passwords; give those."""
    passwords = {login: f"Aa1{secrets.token_hex(16)}" for login in LOGINS}
    async with _connected(address.render_as_string(hide_password=False)) as server:
        for login, password in passwords.items():
            name = f"{PREFIX}{login}"
            await server.raw(
                f"IF SUSER_ID(N'{name}') IS NULL CREATE LOGIN {name} WITH PASSWORD = '{password}' "
                f"ELSE ALTER LOGIN {name} WITH PASSWORD = '{password}'"
            )
    return passwords


@asynccontextmanager
async def new_lake(address: sa.URL, passwords: dict[str, str]) -> AsyncIterator[SQLServerDatabase]:
    """A migrated lake for the length of a block."""
    async with _new(address, passwords) as database:
        await run_once("services.lake.main", "migrate", environment={"LAKE_URL": database.url()})
        yield database


@asynccontextmanager
async def new_warehouse(address: sa.URL, passwords: dict[str, str]) -> AsyncIterator[SQLServerDatabase]:
    """A migrated warehouse for the length of a block."""
    async with _new(address, passwords) as database:
        for module in MIGRATIONS["warehouse"]:
            await run_once(module, "migrate", environment={"WAREHOUSE_URL": database.url()})
        yield database


@asynccontextmanager
async def _new(address: sa.URL, passwords: dict[str, str]) -> AsyncIterator[SQLServerDatabase]:
    database = SQLServerDatabase(address, f"{PREFIX}{uuid.uuid4().hex[:12]}", passwords)
    async with _connected(address.render_as_string(hide_password=False)) as server:
        await server.raw(f"CREATE DATABASE {database.name}")
        try:
            async with database.connect() as connection:
                for login in passwords:
                    await connection.raw(f"CREATE USER {login} FOR LOGIN {PREFIX}{login}")
            yield database
        finally:
            await server.raw(f"ALTER DATABASE {database.name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
            await server.raw(f"DROP DATABASE {database.name}")

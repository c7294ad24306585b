"""PostgreSQL 16 and later: connections, locks by name, and errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.engines.interface import is_lost

TRANSIENT: Mapping[str, str] = {
    # Whole classes, by their first two characters.
    "08": "no connection, or it broke",
    "40": "the server rolled the transaction back: deadlock or conflict",
    "53": "no memory, disk space or connection left",
    "57": "an operator or a timeout ended the statement; the server shuts down, starts or recovers",
    "58": "the system around the server failed: disk or files",
    # Single codes of other classes.
    "25006": "the database is read-only",
    "25P03": "an idle transaction was ended",
    "25P04": "a transaction took longer than the server allows",
    "55006": "the object is in use",
    "55P03": "a lock was not granted in time",
}
"""Transient errors: SQLSTATE, or its class, to its meaning. The statement is correct, and may succeed later.

Source: appendix "PostgreSQL Error Codes" of PostgreSQL's manual.
"""

_TRY = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_WAIT = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_LOCK_NOT_AVAILABLE = "55P03"


def _is_code(state: object) -> bool:
    return isinstance(state, str) and (state in TRANSIENT or state[:2] in TRANSIENT)


TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # The server ended the session between two statements, and asyncpg still reads its last message.
    asyncpg.InternalClientError,
    *(
        kind
        for kind in vars(asyncpg.exceptions).values()
        if isinstance(kind, type)
        and issubclass(kind, asyncpg.PostgresError)
        and _is_code(getattr(kind, "sqlstate", None))
    ),
)
"""What asyncpg raises for `TRANSIENT` and for lost connections, for `except`; for code without SQLAlchemy."""


class PostgreSQL:
    """The PostgreSQL half of `services.chassis.engines.Engine`."""

    name = "postgresql"
    system = "postgresql"
    sessions_view = "pg_stat_activity"

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Name the client, and wait at most 5 s for the connection."""
        return {
            "server_settings": {"application_name": service},
            "timeout": 5,
            "command_timeout": command_seconds,
        }

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take an advisory lock on the name's hash; False when it was not granted in time.

        After a wait that failed, the transaction can only be rolled back. The timeout of the first wait also applies
        to all later locks of the transaction.
        """
        # The lock is nearly always free: one statement.
        if await connection.scalar(_TRY, {"name": name}):
            return True
        if not wait_seconds:
            return False
        await connection.exec_driver_sql(self.set_lock_timeout(wait_seconds))
        try:
            await connection.execute(_WAIT, {"name": name})
        except DBAPIError as error:
            if self.is_lock_timeout(error):
                return False
            raise
        return True

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""
        return f"CREATE SCHEMA IF NOT EXISTS {name}"

    def set_lock_timeout(self, seconds: float) -> str:
        """Set it for the transaction."""
        return f"SET LOCAL lock_timeout = '{round(seconds * 1000)}ms'"

    def is_lock_timeout(self, error: BaseException) -> bool:
        """Compare the SQLSTATE."""
        return getattr(getattr(error, "orig", error), "sqlstate", None) == _LOCK_NOT_AVAILABLE

    def is_transient(self, error: BaseException) -> bool:
        """Look the SQLSTATE and its class up in `TRANSIENT`."""
        return is_lost(error) or _is_code(getattr(getattr(error, "orig", error), "sqlstate", None))

    def error_code(self, error: BaseException) -> str | None:
        """Give the SQLSTATE."""
        original = getattr(error, "orig", error)
        code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
        return str(code) if code else None


def asyncpg_connection(connection: AsyncConnection) -> Any:
    """Give asyncpg's own connection: a hundred thousand rows a second are too many for another layer of rows.

    Raises:
        RuntimeError: the connection is not open.
    """
    synchronous = connection.sync_connection
    if synchronous is None:
        raise RuntimeError("the connection is not open")
    return synchronous.connection.driver_connection


@contextmanager
def as_database_error(statement: str) -> Iterator[None]:
    """Convert the driver's errors to SQLAlchemy's, like those of all other statements."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise sa.exc.DBAPIError(statement, None, error, hide_parameters=True) from error

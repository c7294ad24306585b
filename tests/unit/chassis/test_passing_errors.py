"""Which errors of a lake say nothing against a request, so that it is tried again and not closed for good."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from services.chassis.dialects import PostgreSQL, SQLServer


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (asyncpg.LockNotAvailableError, True),
        (asyncpg.DeadlockDetectedError, True),
        (asyncpg.DiskFullError, True),
        (asyncpg.TooManyConnectionsError, True),
        (asyncpg.QueryCanceledError, True),
        (asyncpg.AdminShutdownError, True),
        (asyncpg.ReadOnlySQLTransactionError, True),
        (asyncpg.IdleInTransactionSessionTimeoutError, True),
        (asyncpg.InvalidTextRepresentationError, False),
        (asyncpg.UndefinedFunctionError, False),
        (asyncpg.InsufficientPrivilegeError, False),
    ],
)
def test_postgresql_tells_by_the_sqlstate(error: type[asyncpg.PostgresError], passes: bool) -> None:
    assert PostgreSQL().passes_by_itself(DBAPIError("SELECT", {}, error("it says"))) is passes


@pytest.mark.parametrize(
    ("state", "text", "passes"),
    [
        (
            "42000",
            "[Microsoft][SQL Server]Lock request time out period exceeded. (1222) (SQLExecDirectW)",
            True,
        ),
        ("40001", "[Microsoft][SQL Server]Transaction was deadlocked. (1205) (SQLExecDirectW)", True),
        ("42000", "[Microsoft][SQL Server]The transaction log for database 'lake' is full. (9002)", True),
        ("HYT00", "[Microsoft]Query timeout expired (0) (SQLExecDirectW)", True),
        ("08S01", "[Microsoft]Communication link failure (0) (SQLExecDirectW)", True),
        ("42000", "[Microsoft][SQL Server]Could not find stored procedure. (2812) (SQLExecDirectW)", False),
        ("22018", "[Microsoft][SQL Server]Conversion failed. (8169) (SQLExecDirectW)", False),
    ],
)
def test_sql_server_tells_by_the_number_or_the_driver_gives_up(state: str, text: str, passes: bool) -> None:
    error = DBAPIError("EXEC", {}, Exception(state, f"[{state}] {text}"))
    assert SQLServer().passes_by_itself(error) is passes

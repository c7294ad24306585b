"""Which errors of a lake say nothing against a request, so that it is tried again and not closed for good."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from services.chassis.engines import PostgreSQL, SQLServer
from services.chassis.engines.sqlserver import TRANSIENT
from services.chassis.error_names import error_name
from services.chassis.web.problems import as_problem, is_connection_loss


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
    assert PostgreSQL().is_transient(DBAPIError("SELECT", {}, error("it says"))) is passes


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
        (
            "25000",
            "[Microsoft][SQL Server]Failed to update database, it is read-only. (3906) (SQLExecDirectW)",
            True,
        ),
        ("42000", "[Microsoft][SQL Server]The target database is in a group. (976) (SQLDriverConnect)", True),
        (
            "42000",
            "[Microsoft][SQL Server]Unable to access availability database. (983) (SQLExecDirectW)",
            True,
        ),
        (
            "HY000",
            "[Microsoft][SQL Server]The service has encountered an error. (40197) (SQLExecDirectW)",
            True,
        ),
        (
            "HY000",
            "[Microsoft][SQL Server]Database is not currently available. (40613) (SQLDriverConnect)",
            True,
        ),
        ("42000", "[Microsoft][SQL Server]Cannot process request. Not enough resources. (49918)", True),
        (
            "01000",
            "[Microsoft][SQL Server]It says so. (5701) (SQLExecDirectW); [42000] [Microsoft][SQL Server]"
            "The log is full. (9002); [01000] [Microsoft][SQL Server]Terminated. (3621)",
            True,
        ),
        ("23000", "[Microsoft][SQL Server]The duplicate key value is (1222). (2627) (SQLExecDirectW)", False),
        (
            "23000",
            "[Microsoft][SQL Server]conflicted with the CHECK constraint. (547) (SQLExecDirectW)",
            False,
        ),
        ("42000", "[Microsoft][SQL Server]The SELECT permission was denied. (229) (SQLExecDirectW)", False),
        ("42000", "[Microsoft][SQL Server]Could not find stored procedure. (2812) (SQLExecDirectW)", False),
        ("22018", "[Microsoft][SQL Server]Conversion failed. (8169) (SQLExecDirectW)", False),
    ],
)
def test_sql_server_tells_by_the_number_or_the_driver_gives_up(state: str, text: str, passes: bool) -> None:
    error = DBAPIError("EXEC", {}, Exception(state, f"[{state}] {text}"))
    assert SQLServer().is_transient(error) is passes
    assert is_connection_loss(error) is passes


@pytest.mark.parametrize("number", TRANSIENT)
def test_every_transient_number_of_sql_server_is_answered_by_503(number: int) -> None:
    error = DBAPIError(
        "EXEC", {}, Exception("42000", f"[42000] [Microsoft]It says so. ({number}) (SQLExecDirectW)")
    )
    problem = as_problem(error)
    assert (problem.status, problem.headers) == (503, {"Retry-After": "1"})


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            ProgrammingError(
                "SELECT", {}, Exception("42000", "[42000] 'Ánh' was denied. (229) (SQLExecDirectW)")
            ),
            "Exception 42000/229",
        ),
        (
            OperationalError("SELECT", {}, Exception("08S01", "[08S01] link failure (0) (SQL)")),
            "Exception 08S01",
        ),
        (asyncpg.UniqueViolationError("Key (name)=(Ánh) exists"), "UniqueViolationError 23505"),
        (ConnectionRefusedError("no"), "ConnectionRefusedError"),
    ],
)
def test_a_log_names_the_code_and_never_the_row(error: Exception, name: str) -> None:
    assert error_name(error) == name

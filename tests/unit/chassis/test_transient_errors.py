"""Which errors of a database are transient: the same request may succeed later, and the answer is 503."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.engines import PostgreSQL, SQLServer, is_transient
from services.chassis.engines.postgresql import TRANSIENT as POSTGRESQL
from services.chassis.engines.postgresql import TRANSIENT_ERRORS
from services.chassis.engines.sqlserver import TRANSIENT as SQLSERVER
from services.chassis.error_names import error_name
from services.chassis.web.problems import as_problem


@pytest.mark.parametrize(
    ("error", "transient"),
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
def test_postgresql_tells_by_the_sqlstate(error: type[asyncpg.PostgresError], transient: bool) -> None:
    assert PostgreSQL().is_transient(DBAPIError("SELECT", {}, error("it says"))) is transient
    # The replicator uses the driver without SQLAlchemy.
    assert PostgreSQL().is_transient(error("it says")) is transient


def postgresql_errors() -> list[type[asyncpg.PostgresError]]:
    """Every error of the driver that has a code of its own."""
    kinds = [kind for kind in vars(asyncpg.exceptions).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, asyncpg.PostgresError) and kind.sqlstate]


@pytest.mark.parametrize("code", POSTGRESQL)
def test_every_transient_code_of_postgresql_is_answered_by_503(code: str) -> None:
    # A class of codes with each of its codes that the driver knows.
    found = [kind for kind in postgresql_errors() if str(kind.sqlstate).startswith(code)]
    assert found, "the driver knows no such code: is it right?"
    for kind in found:
        problem = as_problem(DBAPIError("INSERT", {}, kind("it says")))
        assert (problem.status, problem.headers) == (503, {"Retry-After": "1"}), kind


def test_except_clauses_catch_what_the_table_says_and_nothing_else() -> None:
    for kind in postgresql_errors():
        assert issubclass(kind, TRANSIENT_ERRORS) is PostgreSQL().is_transient(kind("it says")), kind


def test_no_other_code_of_postgresql_is_transient() -> None:
    others = [kind for kind in postgresql_errors() if not str(kind.sqlstate).startswith(tuple(POSTGRESQL))]
    assert len(others) > 150
    for kind in others:
        assert not is_transient(kind("it says")), kind
        assert as_problem(DBAPIError("INSERT", {}, kind("it says"))).status == 500, kind


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionRefusedError(111, "refused"), True),
        (OSError("Multiple exceptions: [Errno 111] …, [Errno 111] …"), True),
        (TimeoutError(), True),
        (PoolTimeout("no connection became free"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InternalClientError("unexpected message"), True),
        # A socket of the server that is gone has no name in the error; a file of ours has.
        (FileNotFoundError(2, "No such file or directory"), True),
        (FileNotFoundError(2, "No such file or directory", "settings.json"), False),
        (ValueError("no number"), False),
    ],
)
def test_a_failed_connection_is_transient_whatever_the_engine(error: Exception, transient: bool) -> None:
    assert PostgreSQL().is_transient(error) is transient
    assert SQLServer().is_transient(error) is transient
    assert is_transient(error) is transient


@pytest.mark.parametrize(
    ("state", "text", "transient"),
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
def test_sql_server_tells_by_the_number_or_the_driver_gives_up(
    state: str, text: str, transient: bool
) -> None:
    error = DBAPIError("EXEC", {}, Exception(state, f"[{state}] {text}"))
    assert SQLServer().is_transient(error) is transient
    assert is_transient(error) is transient


@pytest.mark.parametrize("number", SQLSERVER)
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

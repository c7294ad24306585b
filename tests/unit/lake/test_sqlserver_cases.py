"""The acceptance cases on SQL Server, as far as they can be tested without one."""

from __future__ import annotations

import ast
import inspect
import re
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import ModuleType

import asyncpg
import pytest
import sqlglot
from sqlalchemy.exc import DBAPIError

from services.chassis.engines.sqlserver import TRANSIENT
from services.platform.settings import ROOT
from tests.sqlserver import test_services
from tests.sqlserver.comparison import comparable
from tests.sqlserver.database import Record, as_expected, together
from tests.sqlserver.test_lake import COLUMNS
from tests.sqlserver.translation import translate

DAY, CLOCK, OFFSET = r"(\d{4}-\d\d-\d\d)", r"(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)", r"([+-])(\d\d):(\d\d)"
LITERALS = {
    "date": rf"{DAY}",
    "time": rf"{CLOCK}",
    "datetime": rf"{DAY}(?: {CLOCK})?",
    "smalldatetime": rf"{DAY}(?: {CLOCK})?",
    "datetime2": rf"{DAY}(?: {CLOCK})?",
    # A time cannot be left out where an offset follows.
    "datetimeoffset": rf"{DAY} {CLOCK} {OFFSET}",
}
WITH_OFFSET = re.compile(r"'(\d{4}-\d\d-\d\d[^']*?[+-]\d\d:\d\d)'")
T_SQL = (
    "deploy/databases/*.sqlserver.sql",
    "tests/golden/*.sql",
    "tests/sqlserver/*.py",
    "tests/faults/*.py",
)


@pytest.mark.parametrize(
    "column", [c for c, (type_, _) in COLUMNS.items() if type_.split("(")[0] in LITERALS]
)
def test_every_literal_of_a_time_is_one_that_sql_server_takes(column: str) -> None:
    type_, literals = COLUMNS[column]
    for literal in literals:
        found = re.fullmatch(f"'{LITERALS[type_.split('(', maxsplit=1)[0]]}'", literal)
        assert found, f"{column}: {literal}"
        given = [part for part in found.groups() if part]
        day = date.fromisoformat(given[0]) if type_ != "time(6)" else date(2026, 1, 1)
        clock = time.fromisoformat(
            given[0] if type_ == "time(6)" else given[1] if len(given) > 1 else "00:00"
        )
        if type_.startswith("datetimeoffset"):
            sign, hours, minutes = given[-3:]
            offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
            assert abs(offset) <= timedelta(hours=14)
            # Its instant in UTC has a place in the calendar too: Python raises OverflowError where it has none.
            datetime.combine(day, clock, timezone(offset)).astimezone(UTC)


def test_no_literal_with_an_offset_leaves_out_the_time() -> None:
    files = [path for pattern in T_SQL for path in ROOT.glob(pattern)]
    assert len(files) > 20
    for path in files:
        for literal in WITH_OFFSET.findall(path.read_text()):
            assert re.match(rf"{DAY}[ T]{CLOCK}", literal), f"{path.name}: {literal}"


def test_several_statements_are_one_transaction_and_the_session_is_set_back() -> None:
    written = together("DELETE FROM credit.document; DELETE FROM credit.party;")
    assert written == (
        "SET NOCOUNT ON; SET XACT_ABORT ON; BEGIN TRANSACTION; DELETE FROM credit.document; "
        "DELETE FROM credit.party; COMMIT TRANSACTION; SET XACT_ABORT OFF; SET NOCOUNT OFF"
    )
    assert len(sqlglot.parse(written, read="tsql")) == 8


@pytest.mark.parametrize(
    ("number", "text", "kind"),
    [
        (547, 'conflicted with the CHECK constraint "ck_decision_four_eyes".', asyncpg.CheckViolationError),
        (547, 'conflicted with the FOREIGN KEY constraint "fk_loan".', asyncpg.ForeignKeyViolationError),
        (547, 'conflicted with the REFERENCE constraint "fk_loan".', asyncpg.ForeignKeyViolationError),
        (229, "The INSERT permission was denied on the object 'change'.", asyncpg.InsufficientPrivilegeError),
        (230, "The UPDATE permission was denied on the column 'state'.", asyncpg.InsufficientPrivilegeError),
        (515, "Cannot insert the value NULL.", asyncpg.NotNullViolationError),
        (2601, "Cannot insert duplicate key row.", asyncpg.UniqueViolationError),
        (2627, "Violation of UNIQUE KEY. The duplicate key value is (547).", asyncpg.UniqueViolationError),
        (2628, "String or binary data would be truncated.", asyncpg.StringDataRightTruncationError),
        (8115, "Arithmetic overflow error.", asyncpg.NumericValueOutOfRangeError),
        (1205, "Transaction was deadlocked.", asyncpg.DeadlockDetectedError),
        (1222, "Lock request time out period exceeded.", asyncpg.LockNotAvailableError),
        (3906, "Failed to update database.", asyncpg.ReadOnlySQLTransactionError),
        (9002, "The transaction log is full.", asyncpg.DiskFullError),
        (976, "The target database is participating in a group.", asyncpg.CannotConnectNowError),
        (983, "Unable to access availability database.", asyncpg.CannotConnectNowError),
        (40197, "The service has encountered an error.", asyncpg.CannotConnectNowError),
        (40613, "Database is not currently available.", asyncpg.CannotConnectNowError),
        (49918, "Cannot process request.", asyncpg.TooManyConnectionsError),
    ],
)
def test_an_error_of_sql_server_is_of_the_class_that_a_case_expects(
    number: int, text: str, kind: type[asyncpg.PostgresError]
) -> None:
    said = f"[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) (SQLExecDirectW)"
    assert type(as_expected(DBAPIError("", {}, Exception("42000", said)))) is kind


@pytest.mark.parametrize("number", TRANSIENT)
def test_a_transient_error_of_sql_server_is_never_taken_for_a_violation(number: int) -> None:
    said = f"[42000] [Microsoft][SQL Server]It says so. ({number}) (SQLExecDirectW)"
    found = as_expected(DBAPIError("", {}, Exception("42000", said)))
    assert not isinstance(
        found, asyncpg.IntegrityConstraintViolationError | asyncpg.SyntaxOrAccessError | asyncpg.DataError
    )


CALLS = {"execute", "fetch", "fetchrow", "fetchval"}


def statements(module: ModuleType) -> dict[str, list[str]]:
    """The constant statements that each function of a module gives a connection to the lake."""
    found: dict[str, list[str]] = {}
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in CALLS
                and call.args
                and isinstance(call.args[0], ast.Constant)
                and isinstance(call.args[0].value, str)
            ):
                found.setdefault(function.name, []).append(call.args[0].value)
    return found


SAID = [
    pytest.param(statement, id=f"{prefix} {function} {number}")
    for prefix, module in test_services.MODULES.items()
    for function, said in statements(module).items()
    if f"{prefix}_{function.removeprefix('test_')}" not in test_services.LEFT_OUT
    for number, statement in enumerate(said)
]


@pytest.mark.parametrize("statement", SAID)
def test_what_the_services_tests_ask_the_lake_has_a_counterpart_that_parses(statement: str) -> None:
    written, order = translate(statement)
    assert written.count("?") == len(order)
    for parsed in sqlglot.parse(written.replace("?", "@p"), read="tsql"):
        assert parsed is not None


def test_every_test_of_the_services_runs_on_sql_server_or_is_left_out_with_a_reason() -> None:
    assert len(SAID) > 15
    chosen = test_services.chosen()
    assert chosen.keys() <= vars(test_services).keys()
    all_of_them = {
        f"{prefix}_{name.removeprefix('test_')}"
        for prefix, module in test_services.MODULES.items()
        for name in vars(module)
        if name.startswith("test_")
    }
    assert {name.removeprefix("test_") for name in chosen} | test_services.LEFT_OUT.keys() == all_of_them
    assert all(test_services.LEFT_OUT.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (Decimal("1.5000"), Decimal("1.50")),
        (Decimal(100), 100),
        (Decimal("0E-10"), 0),
        (0.1 + 0.2, 0.3),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_of_two_drivers_compare_equal(one: object, other: object) -> None:
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(
    ("one", "other"), [(Decimal("0.1"), Decimal("0.01")), ("a", "a "), ("", None), (1, 2)]
)
def test_values_that_differ_do_not_compare_equal(one: object, other: object) -> None:
    assert comparable(one) != comparable(other)


def test_an_identifier_comes_as_one_and_a_text_that_looks_like_one_stays_a_text() -> None:
    capitals, small = "0197A2A0-0000-7000-8000-00000000000A", "0197a2a0-0000-7000-8000-00000000000a"

    class Row(tuple[object, ...]):
        _fields = ("a", "b")

    made = Record.of(Row((capitals, small)))  # type: ignore[arg-type]
    assert (made["a"], made["b"]) == (uuid.UUID(capitals), small)

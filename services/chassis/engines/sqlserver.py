"""SQL Server 2019 and later: connections, locks by name, and errors.

An error has an SQLSTATE and the server's number. The server's errors share few SQLSTATEs, so the number decides. The
ODBC driver puts it in brackets behind the message that it belongs to:
`… deadlock victim. Rerun the transaction. (1205) (SQLExecDirectW)`.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.engines.interface import is_lost

CODE = "COLLATE Latin1_General_100_BIN2_UTF8"
TEXT = "COLLATE Latin1_General_100_CI_AS_SC"

TRANSIENT: Mapping[int, str] = {
    # Conflicts with other sessions.
    1204: "the server has no locks left",
    1205: "deadlock victim",
    1222: "a lock was not granted in time",
    3960: "update conflict under snapshot isolation",
    3966: "row version of the snapshot no longer kept",
    41301: "conflict in a memory-optimised table",
    41302: "update conflict in a memory-optimised table",
    41305: "read conflict in a memory-optimised table",
    41325: "phantom in a memory-optimised table",
    # Resources: memory, disk, log, quota.
    701: "no memory for the query",
    802: "no memory in the buffer pool",
    845: "a page could not be latched in time",
    1101: "no space for a page",
    1105: "no space in the file group",
    8628: "no memory to optimise the query",
    8645: "memory was not granted in time",
    8651: "memory grant below the minimum",
    9001: "the transaction log is not available",
    9002: "the transaction log is full",
    10928: "resource limit of the database reached",
    10929: "server too busy for the database",
    40501: "service busy",
    40544: "size quota of the database reached",
    40549: "session ended by a long transaction",
    40550: "session ended by too many locks",
    40551: "session ended by its use of tempdb",
    40552: "session ended by its use of the log",
    40553: "session ended by its use of memory",
    49918: "not enough resources for the request",
    49919: "too many create or update operations",
    49920: "too many operations",
    # The database cannot be used or written just now.
    904: "database cannot be started",
    921: "database not recovered yet",
    922: "database in recovery",
    924: "database in single-user mode",
    927: "database is being restored",
    942: "database offline",
    952: "database in transition",
    3904: "database in transition",
    3906: "database read-only",
    4060: "database cannot be opened",
    4221: "login to a read-only replica timed out",
    # Availability groups: this replica does not serve, or a failover is under way.
    976: "replica does not take connections",
    978: "replica takes read-only connections alone",
    979: "replica takes read-intent connections alone",
    982: "no secondary replica takes read-only connections",
    983: "role of the replica is resolving",
    988: "replica has no quorum",
    41142: "replica not ready for failover",
    # The server or its gateway stops, starts or loses the session.
    64: "connection lost while logging in",
    121: "network timeout",
    233: "no process at the other end",
    596: "session was ended",
    6005: "server shuts down",
    10053: "connection aborted",
    10054: "connection reset",
    10060: "server cannot be reached",
    17142: "server paused",
    17148: "server shuts down",
    17188: "server shuts down",
    17197: "login timed out",
    18401: "server being upgraded",
    40143: "connection could not be initialised",
    40197: "error of the service, mostly a failover",
    40540: "service has a transient error",
    40613: "database not available",
    42108: "pool paused",
    42109: "pool warming up",
}
"""Transient errors: the server's number to its meaning. The statement is correct, and may succeed later.

Source: "Database Engine events and errors" of SQL Server's documentation, and its list of transient connection errors.
"""

LOCK_NOT_GRANTED = 1222
DUPLICATES = (2601, 2627)
"""A unique index and a unique constraint."""

# A number ends its message: before the ODBC function, before the next message, or at the end. A value that a message
# quotes may hold a number in brackets too.
_NUMBER = re.compile(r"\((\d{2,6})\)(?= \(SQL\w+\)|; \[|\s*$)")
_STATE = re.compile(r"[0-9A-Z]{5}")
_LOST_STATES = ("08", "HYT")
"""SQLSTATE classes of the driver's own errors: no connection; no answer in time."""


def sqlstate(error: BaseException | None) -> str | None:
    """Give the SQLSTATE of an ODBC error, also of one that SQLAlchemy wraps; None when it is none of ODBC's."""
    arguments: tuple[object, ...] = getattr(getattr(error, "orig", error), "args", ())
    state = arguments[0] if len(arguments) > 1 else None
    return state if isinstance(state, str) and _STATE.fullmatch(state) else None


def numbers(error: BaseException | None) -> tuple[int, ...]:
    """Give the server's numbers in an ODBC error, the first one first; none when the server said nothing."""
    if sqlstate(error) is None:
        return ()
    text = getattr(getattr(error, "orig", error), "args", ("", ""))[1]
    return tuple(map(int, _NUMBER.findall(str(text))))


def code(error: BaseException | None) -> str | None:
    """Give SQLSTATE and number for a message, as `42000/229`; never the text, which may quote a row."""
    state = sqlstate(error)
    if state is None:
        return None
    return "/".join([state, *map(str, numbers(error)[:1])])


class SQLServer:
    """The SQL Server half of `services.chassis.engines.Engine`."""

    name = "mssql"
    system = "microsoft.sql_server"
    sessions_view = "sys.dm_tran_session_transactions"

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Limit the duration of a statement; the URL has all other settings of an ODBC connection."""
        del service
        if command_seconds is None:
            return {}

        async def limit(connection: Any) -> None:
            # pyodbc takes whole seconds, and 0 for no limit.
            connection.timeout = max(1, round(command_seconds))

        return {"after_created": limit}

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take a transaction-long application lock; `name` is at most 255 characters."""
        result = await connection.scalar(
            sa.text(
                # The driver's implicit transaction begins with the first statement that reads a table. EXEC does not
                # begin one, and the lock needs a transaction as its owner.
                "SET NOCOUNT ON; DECLARE @result int; "
                "SELECT @result = schema_id FROM sys.schemas WHERE name = N'dbo'; "
                "EXEC @result = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', "
                f"@LockOwner = 'Transaction', @LockTimeout = {wait_seconds * 1000:d}; "
                # Otherwise later statements of this session would return no row count.
                "SET NOCOUNT OFF; SELECT @result"
            ),
            {"name": name},
        )
        return int(result) >= 0 if result is not None else False

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing; by EXEC, because CREATE SCHEMA must be alone in its batch."""
        return f"IF SCHEMA_ID(N'{name}') IS NULL EXEC (N'CREATE SCHEMA {name}')"

    def set_lock_timeout(self, seconds: float) -> str:
        """Set it for the session."""
        return f"SET LOCK_TIMEOUT {round(seconds * 1000)}"

    def is_lock_timeout(self, error: BaseException) -> bool:
        """Compare the server's number."""
        return LOCK_NOT_GRANTED in numbers(error)

    def is_transient(self, error: BaseException) -> bool:
        """Look up the server's number in `TRANSIENT`, or the SQLSTATE for an error of the driver itself."""
        state = sqlstate(error)
        return is_lost(error) or (
            state is not None
            and (state.startswith(_LOST_STATES) or any(number in TRANSIENT for number in numbers(error)))
        )

    def error_code(self, error: BaseException) -> str | None:
        """Give the ODBC SQLSTATE and the server's number."""
        return code(error)

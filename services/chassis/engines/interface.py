"""The operations of a database engine that any process needs."""

from typing import Any, Protocol

from asyncpg import InterfaceError, InternalClientError
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection

_LOST = (
    exc.InterfaceError,
    # No connection of the pool became free in time.
    exc.TimeoutError,
    TimeoutError,
    InterfaceError,
    # The server ended the session between two statements, and the driver still reads its last message.
    InternalClientError,
)


class Engine(Protocol):
    """One engine. Statements are returned as text, one batch each, without a closing semicolon."""

    name: str
    """The engine's name in SQLAlchemy."""
    system: str
    """The engine's name in telemetry (`db.system.name` of the semantic conventions)."""

    sessions_view: str
    """Where the server lists its sessions with open transactions, for messages."""

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Give the arguments of the driver's `connect` besides the URL.

        Args:
            service: the client's name on the server.
            command_seconds: a statement that takes longer fails; None for never.
        """

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take the lock `name` until the end of the transaction.

        Args:
            connection: in a transaction.
            name: of at most 200 characters.
            wait_seconds: how long to wait for another holder; 0 for not at all.

        Returns:
            False when somebody else still holds the lock; after a wait the transaction can then only be rolled back.
        """

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""

    def set_lock_timeout(self, seconds: float) -> str:
        """Let statements of this transaction fail that wait for a lock for longer.

        On SQL Server it holds for the session, so use it on a connection that does nothing else.
        """

    def is_lock_timeout(self, error: BaseException) -> bool:
        """Return whether a statement failed because another transaction held a lock for too long."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether an error is transient: the statement is correct, and may succeed later.

        True for a lost connection, a deadlock, a lock that was not granted in time, a lack of memory, disk or
        connections, and a server that is read-only, shutting down, failing over or recovering. The engine's table of
        codes is `TRANSIENT` in its module.
        """

    def error_code(self, error: BaseException) -> Any:
        """Give the engine's own code of a database error, for messages."""


def is_lost(error: BaseException) -> bool:
    """Whether the connection failed, whatever the engine: it broke, was refused, or none became free in time."""
    if isinstance(error, exc.DBAPIError) and (
        error.connection_invalidated or isinstance(error.orig, InternalClientError)
    ):
        return True
    # A file's own error names the file; a connection's does not.
    return isinstance(error, _LOST) or (isinstance(error, OSError) and error.filename is None)

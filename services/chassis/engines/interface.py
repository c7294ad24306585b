"""What any process needs of a database engine."""

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
    # The server ended the session between two statements, and the driver still reads its farewell.
    InternalClientError,
)


class Engine(Protocol):
    """One engine. Statements are returned as text, one batch each, without a closing semicolon."""

    name: str
    """As SQLAlchemy calls it."""
    system: str
    """The engine as telemetry calls it (`db.system.name` of the semantic conventions)."""

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Give what the driver's `connect` takes besides the URL.

        Args:
            service: shown by the server as the client.
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
        """Let statements of this session fail that wait for a lock for longer."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same statement may succeed later: nothing is wrong with it.

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

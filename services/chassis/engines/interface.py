"""What any process needs of a database engine."""

from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


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
        """Take the lock `name` until the end of the transaction; False when somebody has it for so long.

        Who has waited in vain can only roll back.
        """

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether an error is worth another try: a lock not had in time, a deadlock, a server that cannot serve now.

        The last is one that is out of disk or memory, read-only, or slow: it says nothing of the statement.
        """

    def error_code(self, error: BaseException) -> Any:
        """Give the engine's own code of a database error, for messages."""

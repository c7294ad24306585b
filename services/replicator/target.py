"""Connections to the application database as the replicator uses them: plain asyncpg, one statement a round trip."""

import asyncpg
import sqlalchemy as sa
from pydantic import SecretStr

# What passes by itself: the change is sound, the database is not there or is busy.
PASSING = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.PostgresSystemError,
    TimeoutError,
)


async def connect(url: SecretStr, *, name: str, idle_in_transaction_seconds: float = 0) -> asyncpg.Connection:
    """Open one connection.

    Args:
        url: SQLAlchemy URL of the application database.
        name: shown by the server as the application's name.
        idle_in_transaction_seconds: the server ends a transaction that is idle for longer, so that the locks of
            a stopped process go; 0 for never.

    Raises:
        OSError, asyncpg.PostgresError: when the server does not answer or refuses.
    """
    parsed = sa.make_url(url.get_secret_value()).set(drivername="postgresql")
    return await asyncpg.connect(
        parsed.render_as_string(hide_password=False),
        timeout=5,
        server_settings={
            "application_name": name,
            "idle_in_transaction_session_timeout": str(round(idle_in_transaction_seconds * 1000)),
        },
    )

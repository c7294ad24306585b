"""PostgreSQL: locks by name, until the end of a transaction."""

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_TRY = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_LIMIT = sa.text("SELECT set_config('lock_timeout', :limit, true)")
_WAIT = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_NOT_HAD_IN_TIME = "55P03"


async def take_lock(connection: AsyncConnection, name: str, wait_seconds: int) -> bool:
    """Take an advisory lock on the name's hash; False when it was not had in time.

    Who has waited in vain has a transaction that can only be rolled back; who waits once waits no longer for any
    other lock of the transaction either.
    """
    # Nearly always free: one statement.
    if await connection.scalar(_TRY, {"name": name}):
        return True
    if not wait_seconds:
        return False
    await connection.execute(_LIMIT, {"limit": f"{wait_seconds}s"})
    try:
        await connection.execute(_WAIT, {"name": name})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _NOT_HAD_IN_TIME:
            return False
        raise
    return True

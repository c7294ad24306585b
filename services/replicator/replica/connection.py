"""Connections to the application database as the replicator uses them: plain asyncpg, one statement a round trip."""

import asyncpg
import sqlalchemy as sa
from pydantic import SecretStr

from services.chassis.engines import postgresql as engine

TRANSIENT_ERRORS = (*engine.TRANSIENT_ERRORS, asyncpg.InvalidAuthorizationSpecificationError)
"""The change is valid, but the database is not available or busy. A login that is refused may be about to be created,
or to be given its new password."""

_WHOLE_TABLE_PLANS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")


async def connect(
    url: SecretStr,
    *,
    name: str,
    idle_in_transaction_seconds: float = 0,
    command_seconds: float | None = None,
    durable: bool = True,
    by_key: bool = False,
) -> asyncpg.Connection:
    """Open one connection.

    Args:
        url: SQLAlchemy URL of the application database.
        name: shown by the server as the application's name.
        idle_in_transaction_seconds: the server ends a transaction that is idle for longer, so that the locks of
            a stopped process go; 0 for never.
        command_seconds: a statement that takes longer fails with TimeoutError: the only way to learn that the other
            side of a half open connection is gone.
        durable: whether a commit waits for the disk. Without, a crash of the server may take back the newest
            transactions, each of them whole: nothing is lost where the offsets go back with the rows.
        by_key: rows are only ever looked up by their keys. A statement that was planned while its table was small
            would read all of it ever after.

    Raises:
        OSError, asyncpg.PostgresError: when the server does not answer or refuses.
    """
    parsed = sa.make_url(url.get_secret_value()).set(drivername="postgresql")
    connection = await asyncpg.connect(
        parsed.render_as_string(hide_password=False),
        timeout=5,
        command_timeout=command_seconds,
        server_settings={
            "application_name": name,
            "synchronous_commit": "on" if durable else "off",
            "idle_in_transaction_session_timeout": str(round(idle_in_transaction_seconds * 1000)),
            **(dict.fromkeys(_WHOLE_TABLE_PLANS, "off") if by_key else {}),
        },
    )
    await take_json_as_it_is(connection)
    return connection


async def take_json_as_it_is(connection: asyncpg.Connection) -> None:
    """Let JSON be bytes on this connection: images go to the server as they came."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
